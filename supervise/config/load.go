package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// MaxFile is the size of the largest file that is read, in bytes.
const MaxFile = 1 << 20

// A Set is what a directory of files gave.
type Set struct {
	Services []*Service // in load order: by file name
	Proxies  []*Proxy   // the same; their problems name no service
	Problems []Problem  // by file name, then line
}

// LoadDir loads the files *.toml and *.yaml of one directory, not of those below it,
// in the order of their names. Names that begin with ".#" are skipped: they are the
// locks of an editor. An error is returned only when the directory itself cannot
// be read, or when we run as root and others could write to it; what is wrong with
// one entry is a Problem in the Set. When several files hold a service of the same
// name none of them is loaded.
func LoadDir(dir string) (*Set, error) { return loadDir(dir, nil, Defaults{}, isServiceFile) }

// isServiceFile tells whether a file of that name describes a service.
func isServiceFile(name string) bool { return strings.HasSuffix(name, ".toml") || isYAML(name) }

func loadDir(dir string, cache *Cache, given Defaults, is func(name string) bool) (*Set, error) {
	paths, st, err := filesOf(dir, is)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration directory %s: %w", dir, reason(err))
	}
	why := distrust(dir, st)
	if why != "" && distrusted() == Error {
		return nil, fmt.Errorf("cannot trust configuration directory %s: %w", dir, untrusted(why))
	}
	set := gather(loadAll(paths, cache, given))
	if why != "" {
		set.Problems = slices.Insert(set.Problems, 0, Problem{File: dir, Severity: Warning, Message: why})
	}
	return set, nil
}

// filesOf is the paths of the service files of a directory, by name.
func filesOf(dir string, is func(name string) bool) ([]string, fs.FileInfo, error) {
	// O_DIRECTORY: opening a named pipe would wait for a writer otherwise.
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, nil, err
	}
	slices.Sort(names)
	var paths []string
	for _, name := range names {
		if is(name) && !strings.HasPrefix(name, ".#") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, st, nil
}

// loaded is what one file gave.
type loaded struct {
	path     string
	service  *Service
	proxy    *Proxy // without a name: it is a bad one; nil: it is no file of a proxy
	nameLine int    // where its name stands
	problems []Problem
}

// loadAll loads files side by side, and several at once: the decoder is what takes the
// time.
func loadAll(paths []string, cache *Cache, given Defaults) []loaded {
	all := make([]loaded, len(paths))
	workers := min(4, runtime.GOMAXPROCS(0), len(paths))
	var next atomic.Int64
	var done sync.WaitGroup
	for range workers {
		done.Go(func() {
			size := min(maxTogether, 1+len(paths)/(4*workers))
			for end := int(next.Add(int64(size))); end-size < len(paths); end = int(next.Add(int64(size))) {
				part := paths[end-size : min(end, len(paths))]
				loadSome(part, all[end-size:], cache, given)
			}
		})
	}
	done.Wait()
	cache.pack(all)
	return all
}

// loadSome loads files whose text is decoded together.
func loadSome(paths []string, all []loaded, cache *Cache, given Defaults) {
	drafts := make([]draft, len(paths))
	var guards []*guard
	for i, path := range paths {
		drafts[i] = open(path, cache, given)
		if f := drafts[i].file; f != nil && f.guard != nil {
			guards = append(guards, f.guard)
		}
	}
	decodeTogether(guards)
	for i := range drafts {
		all[i] = drafts[i].finish(cache)
	}
}

// gather makes a Set of all files, without the services whose name several of
// them claim: which one is meant is for their owner to say.
func gather(all []loaded) *Set {
	claims := make(map[string][]string, len(all))
	for _, l := range all {
		if l.service != nil {
			claims[l.service.Name] = append(claims[l.service.Name], l.path)
		}
	}
	set := &Set{}
	for _, l := range all {
		set.Problems = append(set.Problems, l.problems...)
		if l.proxy != nil && l.proxy.Name != "" {
			set.addProxy(l.proxy)
		}
		if l.service == nil {
			continue
		}
		others := without(claims[l.service.Name], l.path)
		if len(others) == 0 {
			set.Services = append(set.Services, l.service)
			continue
		}
		set.Problems = append(set.Problems, Problem{
			File: l.path, Line: l.nameLine, Key: nameKey(l.service), Service: l.service.Name, Severity: Error,
			Message: fmt.Sprintf("%s is also the name in %s: give each its own name, or remove one of the files (none of them is loaded)",
				quoted(l.service.Name), strings.Join(others, ", ")),
		})
	}
	return set
}

func without(paths []string, path string) []string {
	var rest []string
	for _, p := range paths {
		if p != path {
			rest = append(rest, p)
		}
	}
	return rest
}

func nameKey(s *Service) string {
	switch {
	case isYAML(s.Source):
		return "" // its name is that of the file
	case s.Target:
		return "target.name"
	}
	return "service.name"
}

// LoadFile loads one file. The service is nil when one of the problems is an
// Error. It never blocks on what is no regular file. That others could write to
// the file is an Error for root, and a Warning for everybody else.
func LoadFile(path string) (*Service, []Problem) {
	return Defaults{}.LoadFile(path)
}

// LoadEither loads one file as LoadFile does, be it that of a service or of a proxy.
// Both are nil when one of the problems is an Error.
func LoadEither(path string) (*Service, *Proxy, []Problem) {
	l := load(path, nil, Defaults{})
	if l.proxy != nil && l.proxy.Name == "" {
		l.proxy = nil
	}
	return l.service, l.proxy, l.problems
}

// onlyService is for who wants a service: a proxy is none.
func (l *loaded) onlyService() (*Service, []Problem) {
	if l.proxy != nil && l.proxy.Name != "" {
		l.problems = append(l.problems, Problem{
			File: l.path, Key: "xinet", Severity: Error,
			Message: "it describes a proxy and no service: put it into the configuration directory and reload, or use zinit xinet set",
		})
	}
	return l.service, l.problems
}

func load(path string, cache *Cache, given Defaults) loaded {
	d := open(path, cache, given)
	return d.finish(cache)
}

// A draft is a file that was read, and not understood yet.
type draft struct {
	loaded             // what is known already
	file   *file       // nil: that is all
	stat   fs.FileInfo // of file
}

func open(path string, cache *Cache, given Defaults) draft {
	if l, ok := cache.find(path); ok {
		return draft{loaded: l}
	}
	text, st, err := readFile(path)
	if err != nil {
		problem := Problem{File: path, Service: baseName(path), Severity: Error, Message: err.Error()}
		if isYAML(path) && errors.Is(err, errDangling) {
			// Those of zinit 0.2 lead to what is made anew after each boot.
			problem.Severity = Warning
		}
		return draft{loaded: loaded{path: path, problems: []Problem{problem}}}
	}
	return draft{file: newFile(path, text, given), stat: st}
}

func (d *draft) finish(cache *Cache) loaded {
	if d.file == nil {
		return d.loaded
	}
	l, path := d.file.parse(), d.file.path
	if why := distrust(path, d.stat); why != "" {
		p := Problem{File: path, Service: l.name(), Severity: distrusted(), Message: why}
		if p.Severity == Error {
			p.Message = "is not loaded: it " + why
			l.service = nil
			if l.proxy != nil {
				l.proxy = &Proxy{}
			}
		}
		l.problems = slices.Insert(l.problems, 0, p)
	}
	if l.proxy == nil { // those are few, and not kept
		cache.keep(l, d.stat)
	}
	return l
}

// name is that of the service, be it good or not.
func (l *loaded) name() string {
	switch {
	case l.proxy != nil:
		return ""
	case l.service != nil:
		return l.service.Name
	case len(l.problems) > 0:
		return l.problems[0].Service
	}
	return baseName(l.path)
}

// baseName is the name of a service whose file does not tell it.
func baseName(path string) string {
	switch {
	case isYAML(path):
		return legacyName(path)
	case isUnit(path):
		return strings.TrimSuffix(filepath.Base(path), unitSuffix)
	}
	return strings.TrimSuffix(filepath.Base(path), ".toml")
}

// readFile returns the whole text of a regular file. The text is that of one
// moment: a file that is replaced by a rename is read through the descriptor of
// the old one, and one that is written to in its place is read when that is done,
// or again. Errors are messages for people, with the next step; fs.ErrNotExist says that there is none.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	// O_NONBLOCK: opening a named pipe would wait for a writer otherwise.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, openError(path, err)
	}
	defer f.Close()
	before, err := awaitWriters(f)
	switch {
	case err == errBeingWritten:
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if mode := before.Mode(); !mode.IsRegular() {
		return nil, nil, notAFile(path, kindOf(mode))
	}
	const tries = 5
	for range tries {
		if before.Size() > MaxFile {
			return nil, nil, fmt.Errorf("is larger than 1 MiB (%d bytes): a service file is small, shorten it", before.Size())
		}
		text := make([]byte, before.Size())
		n, err := f.ReadAt(text, 0)
		if err != nil && err != io.EOF {
			return nil, nil, fmt.Errorf("cannot be read: %w", reason(err))
		}
		after, err := f.Stat()
		if err != nil {
			return nil, nil, fmt.Errorf("cannot be read: %w", reason(err))
		}
		if n == len(text) && after.Size() == before.Size() && after.ModTime().Equal(before.ModTime()) {
			return text, after, nil
		}
		before = after
	}
	return nil, nil, errBeingWritten
}

var errBeingWritten = errors.New("is being written to while it is read: reload when it is complete")

// awaitWriters returns the state of a file when nobody writes to it any more, which
// holds until it is closed, or after a tenth of a second. Who has it open for
// writing without having written for a second counts as nobody.
func awaitWriters(f *os.File) (fs.FileInfo, error) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return st, err
	}
	var again, late <-chan time.Time
	for !holdStill(f) && time.Since(st.ModTime()).Abs() < time.Second {
		if late == nil {
			timer, ticker := time.NewTimer(100*time.Millisecond), time.NewTicker(time.Millisecond)
			defer timer.Stop()
			defer ticker.Stop()
			late, again = timer.C, ticker.C
		}
		select {
		case <-again:
		case <-late:
			return nil, errBeingWritten
		}
		if st, err = f.Stat(); err != nil {
			return nil, err
		}
	}
	return f.Stat()
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if target, e := os.Readlink(path); e == nil {
			return danglingError(target)
		}
		return goneError{}
	case errors.Is(err, fs.ErrPermission):
		return errors.New("cannot be read: permission denied: change its owner or mode")
	case errors.Is(err, syscall.ENXIO):
		return notAFile(path, "a socket")
	}
	return fmt.Errorf("cannot be read: %w", reason(err))
}

// notAFile says what is at the path instead.
func notAFile(path, kind string) error {
	if !isServiceFile(path) {
		return fmt.Errorf("is %s and not a file: name a service file", kind)
	}
	return fmt.Errorf("is %s and not a file: remove it, or give it a name that does not end in %s", kind, filepath.Ext(path))
}

// danglingError is a link to a file that does not exist.
type danglingError string

func (e danglingError) Error() string {
	return "is a link to " + string(e) + ", which does not exist: mend or remove the link"
}
func (danglingError) Is(target error) bool { return target == errDangling }

var errDangling = errors.New("dangling link")

// goneError is a file that does not exist.
type goneError struct{}

func (goneError) Error() string        { return "does not exist: was it removed just now?" }
func (goneError) Is(target error) bool { return target == fs.ErrNotExist }

// reason strips the operation and the paths, which the message has already.
func reason(err error) error {
	var pathError *fs.PathError
	var linkError *os.LinkError
	switch {
	case errors.As(err, &pathError):
		return pathError.Err
	case errors.As(err, &linkError):
		return linkError.Err
	}
	return err
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// MaxFile is the size of the largest file that is read, in bytes.
const MaxFile = 1 << 20

// A Set is what a directory of files gave.
type Set struct {
	Services []*Service // in load order: by file name
	Problems []Problem  // by file name, then line
}

// LoadDir loads the files *.toml of one directory, not of those below it, in the
// order of their names. Names that begin with ".#" are skipped: they are the
// locks of an editor. An error is returned only when the directory itself cannot
// be read; what is wrong with one entry is a Problem in the Set. When several
// files hold a service of the same name none of them is loaded.
func LoadDir(dir string) (*Set, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration directory %s: %w", dir, reason(err))
	}
	var paths []string
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".toml") && !strings.HasPrefix(name, ".#") {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return gather(loadAll(paths)), nil
}

// LoadDirs loads the system's directory, whose services are all of class system,
// and then the user's. A file of the user's that takes a name of the system's is
// not loaded, and a warning says so. A system directory that does not exist is
// empty. When one of the two cannot be read the other is loaded all the same: the
// Problem has the directory as its File, and no Service. An error is returned only
// when neither gave anything.
func LoadDirs(system, user string) (*Set, error) {
	set, err := LoadDir(system)
	own, userErr := LoadDir(user)
	switch {
	case err != nil && userErr != nil:
		if !errors.Is(err, fs.ErrNotExist) {
			userErr = errors.Join(err, userErr)
		}
		return nil, userErr
	case errors.Is(err, fs.ErrNotExist):
		set = &Set{}
	case err != nil:
		set = &Set{Problems: []Problem{dirProblem(system, err)}}
	}
	if userErr != nil {
		set.Problems = append(set.Problems, dirProblem(user, userErr))
		own = &Set{}
	}
	taken := map[string]string{}
	for _, s := range set.Services {
		s.Class = ClassSystem
		taken[s.Name] = s.Source
	}
	set.Problems = append(set.Problems, own.Problems...)
	for _, s := range own.Services {
		if by, ok := taken[s.Name]; ok {
			set.Problems = append(set.Problems, Problem{
				File: s.Source, Key: nameKey(s), Service: s.Name, Severity: Warning,
				Message: quoted(s.Name) + " is shadowed by system service " + by + ": this file is not loaded; give it another name",
			})
			continue
		}
		set.Services = append(set.Services, s)
	}
	return set, nil
}

// dirProblem is a directory that cannot be read.
func dirProblem(dir string, err error) Problem {
	return Problem{File: dir, Severity: Error, Message: fmt.Sprintf("cannot be read: %v: mend that and reload", errors.Unwrap(err))}
}

// loaded is what one file gave.
type loaded struct {
	path     string
	service  *Service
	nameLine int // where its name stands
	problems []Problem
}

// loadAll loads files side by side: the decoder is what takes the time.
func loadAll(paths []string) []loaded {
	all := make([]loaded, len(paths))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(4, runtime.GOMAXPROCS(0), len(paths)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(paths)); i = next.Add(1) - 1 {
				all[i] = load(paths[i])
			}
		})
	}
	workers.Wait()
	return all
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
	if s.Target {
		return "target.name"
	}
	return "service.name"
}

// LoadFile loads one file. The service is nil when one of the problems is an
// Error. It never blocks on what is no regular file.
func LoadFile(path string) (*Service, []Problem) {
	l := load(path)
	return l.service, l.problems
}

func load(path string) loaded {
	text, err := readFile(path)
	if err != nil {
		problem := Problem{File: path, Service: baseName(path), Severity: Error, Message: err.Error()}
		return loaded{path: path, problems: []Problem{problem}}
	}
	return parse(path, text)
}

// baseName is the name of a service whose file does not tell it.
func baseName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), ".toml")
}

// readFile returns the whole text of a regular file. The text is that of one
// moment: a file that is replaced by a rename is read through the descriptor of
// the old one, and one that is written to meanwhile is read again. Errors are
// messages for people, with the next step.
func readFile(path string) ([]byte, error) {
	// O_NONBLOCK: opening a named pipe would wait for a writer otherwise.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", reason(err))
	}
	if mode := before.Mode(); !mode.IsRegular() {
		return nil, fmt.Errorf("is %s and not a file: remove it, or give it a name that does not end in .toml", kindOf(mode))
	}
	const tries = 5
	for range tries {
		if before.Size() > MaxFile {
			return nil, fmt.Errorf("is larger than 1 MiB (%d bytes): a service file is small, shorten it", before.Size())
		}
		text := make([]byte, before.Size())
		n, err := f.ReadAt(text, 0)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("cannot be read: %w", reason(err))
		}
		after, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %w", reason(err))
		}
		if n == len(text) && after.Size() == before.Size() && after.ModTime().Equal(before.ModTime()) {
			return text, nil
		}
		before = after
	}
	return nil, errors.New("is being written to while it is read: reload when it is complete")
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if target, e := os.Readlink(path); e == nil {
			return fmt.Errorf("is a link to %s, which does not exist: mend or remove the link", target)
		}
		return errors.New("does not exist: was it removed just now?")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("cannot be read: permission denied: change its owner or mode")
	case errors.Is(err, syscall.ENXIO):
		return errors.New("is a socket and not a file: remove it, or give it a name that does not end in .toml")
	}
	return fmt.Errorf("cannot be read: %w", reason(err))
}

// reason strips the operation and the path, which the message has already.
func reason(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
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

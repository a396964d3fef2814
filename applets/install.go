package applets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"zinit/applets/env"
)

const installUsage = `usage: zinit --install [-s] [--init] DIR

Makes a link to this binary in DIR for each applet: hard links, or symbolic ones
with -s. With --init also for those that end a machine, such as reboot: they are
for one whose process 1 is zinit. A file that is not a copy of this binary or a
link to it is left alone.
`

// An installer makes the links of the applets.
type installer struct {
	self     string      // absolute path of the binary, without links in it
	file     os.FileInfo // of self
	dir      string
	symbolic bool
	init     bool // those of an init too
}

// install is "zinit --install"; args follow that word.
func install(e *env.Env, args []string) int {
	in := installer{}
	for _, a := range args {
		switch {
		case a == "-h" || a == "--help":
			return say(e, installUsage)
		case a == "-s":
			in.symbolic = true
		case a == "--init":
			in.init = true
		case in.dir == "" && a != "" && a[0] != '-':
			in.dir = a
		default:
			fmt.Fprintf(e.Stderr, "zinit: unexpected argument %q\n\n%s", a, installUsage)
			return env.ExitUsage
		}
	}
	if in.dir == "" {
		fmt.Fprintf(e.Stderr, "zinit: no directory was named\n\n%s", installUsage)
		return env.ExitUsage
	}
	if err := in.locate(); err != nil {
		fmt.Fprintf(e.Stderr, "zinit: %v\n", err)
		return env.ExitFailed
	}
	code := env.ExitDone
	for _, a := range list() {
		if a.Hidden || a.Init && !in.init {
			continue
		}
		done, err := in.link(a.Name)
		if err != nil {
			fmt.Fprintf(e.Stderr, "zinit: %v\n", err)
			code = env.ExitFailed
			continue
		}
		if say(e, filepath.Join(in.dir, a.Name)+": "+done+"\n") != env.ExitDone {
			code = env.ExitFailed
		}
	}
	return code
}

// locate finds the binary, and looks at the directory.
func (in *installer) locate() error {
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this binary: %w", err)
	}
	if in.self, err = filepath.EvalSymlinks(path); err != nil {
		return fmt.Errorf("cannot find this binary: %w", err)
	}
	if in.file, err = os.Stat(in.self); err != nil {
		return fmt.Errorf("cannot look at this binary: %w", err)
	}
	if dir, err := os.Stat(in.dir); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s does not exist: make it first", in.dir)
	} else if err == nil && !dir.IsDir() {
		return fmt.Errorf("%s is no directory: name the one for the links", in.dir)
	}
	return nil
}

// link makes one link, unless it is there, and says what was done.
func (in *installer) link(name string) (done string, err error) {
	path := filepath.Join(in.dir, name)
	there, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := in.make(path); err != nil {
			return "", err
		}
		return in.kind() + " to " + in.self, nil
	case err != nil:
		return "", fmt.Errorf("cannot look at %s: %w", path, err)
	case os.SameFile(there, in.file):
		return "is this binary already", nil
	}
	ours, err := in.ours(path)
	if err != nil {
		return "", err
	}
	if !ours {
		return "", fmt.Errorf("%s is not ours: left alone: move it away and install again", path)
	}
	if there.Mode()&os.ModeSymlink != 0 && in.symbolic {
		return "links to this binary already", nil
	}
	if err := in.replace(path); err != nil {
		return "", err
	}
	return "replaced by " + in.kind() + " to " + in.self, nil
}

func (in *installer) kind() string {
	if in.symbolic {
		return "symbolic link"
	}
	return "hard link"
}

// make creates a link where nothing is.
func (in *installer) make(path string) error {
	if !in.symbolic {
		err := os.Link(in.self, path)
		if errors.Is(err, syscall.EXDEV) {
			return fmt.Errorf("cannot link %s: it is on another file system than %s: use -s", path, in.self)
		}
		if err != nil {
			return fmt.Errorf("cannot link %s: %w", path, errors.Unwrap(err))
		}
		return nil
	}
	target := in.self
	// Beside the binary a bare name goes on working when the directory is moved.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		if dir, err = filepath.Abs(dir); err == nil && dir == filepath.Dir(in.self) {
			target = filepath.Base(in.self)
		}
	}
	if err := os.Symlink(target, path); err != nil {
		return fmt.Errorf("cannot link %s: %w", path, errors.Unwrap(err))
	}
	return nil
}

// replace puts a link in the place of a file, in one step: somebody may call it
// meanwhile.
func (in *installer) replace(path string) error {
	aside := path + ".new" + strconv.Itoa(os.Getpid())
	if err := in.make(aside); err != nil {
		return err
	}
	if err := os.Rename(aside, path); err != nil {
		os.Remove(aside)
		return fmt.Errorf("cannot replace %s: %w", path, err)
	}
	return nil
}

// ours reports whether a path leads to this binary or to a copy of it.
func (in *installer) ours(path string) (bool, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil // a symbolic link to nothing
	case err != nil:
		return false, fmt.Errorf("cannot look at %s: %w", path, err)
	case os.SameFile(info, in.file):
		return true, nil
	case !info.Mode().IsRegular() || info.Size() != in.file.Size():
		return false, nil
	}
	same, err := sameContent(path, in.self)
	if err != nil {
		return false, fmt.Errorf("cannot compare %s: %w", path, err)
	}
	return same, nil
}

func sameContent(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(fa, bufA)
		m, _ := io.ReadFull(fb, bufB) // a shorter b shows in what was read
		if n != m || !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return true, nil
		default:
			return false, err
		}
	}
}

package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// DefaultPath is where programs are looked for when the environment has no PATH.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// lookError is a message for people that can be told apart by errors.Is.
type lookError struct {
	text  string
	cause error // fs.ErrNotExist, fs.ErrPermission, syscall.EISDIR, …
}

func (e *lookError) Error() string { return e.text }
func (e *lookError) Unwrap() error { return e.cause }

// LookPath finds the program that a process with the environment env ("KEY=VALUE",
// the last PATH counts) and the working directory dir ("" is that of the caller)
// would execute as file. A file with a slash is taken as it is, seen from dir; any
// other is looked for along PATH, and in [DefaultPath] without one. The result is
// to be executed from any directory when dir is absolute.
//
// Errors say what is wrong and what to do; they match fs.ErrNotExist,
// fs.ErrPermission or syscall.EISDIR.
func LookPath(file string, env []string, dir string) (string, error) {
	if file == "" {
		return "", &lookError{"the command is empty: write the program there", fs.ErrNotExist}
	}
	if strings.Contains(file, "/") {
		path := under(dir, file)
		if err := runnable(path); err != nil {
			return "", err
		}
		return path, nil
	}
	search := DefaultPath
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			search = path
		}
	}
	var found error // the best of the bad news
	for _, folder := range filepath.SplitList(search) {
		if folder == "" {
			folder = "."
		}
		path := under(dir, folder+"/"+file)
		err := runnable(path)
		if err == nil {
			return path, nil
		}
		if _, hidden := os.Stat(path); found == nil && hidden == nil && os.IsPermission(err.(*lookError).cause) {
			found = err
		}
	}
	if found != nil {
		return "", found
	}
	return "", &lookError{
		quoted(file) + " is not found in PATH (" + search + "): install it, or write its whole path",
		fs.ErrNotExist,
	}
}

func under(dir, path string) string {
	if dir == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// runnable tells why path cannot be executed. Mode bits are what it looks at:
// whether a service's user may use them shows when it is started.
func runnable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil && os.IsPermission(err):
		return &lookError{path + " cannot be reached: permission denied: change the mode of its directories", fs.ErrPermission}
	case err != nil && os.IsNotExist(err):
		return &lookError{path + " does not exist: install it, or correct the path", fs.ErrNotExist}
	case err != nil:
		return &lookError{path + " cannot be examined: " + reason(err).Error() + ": correct the path", fs.ErrNotExist}
	case info.IsDir():
		return &lookError{path + " is a directory: write the path of a program", syscall.EISDIR}
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return &lookError{path + " is not executable: set its mode (chmod +x), or name its interpreter", fs.ErrPermission}
	}
	return nil
}

// ShellMissing is the message for a command that needs a shell on a system that
// has none at [Shell].
func ShellMissing(c Command) string {
	return "the line needs a shell (" + c.ShellWhy + ") and there is no " + Shell +
		" here: install a shell, or write a command without shell syntax"
}

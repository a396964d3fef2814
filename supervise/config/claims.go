package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Claims tells which files of a directory hold the services of some names, good or
// not, as it was when it was asked for.
type Claims struct {
	dir   string
	paths map[string][]string // by the names that were asked for; by file name
	err   error               // of the directory: what it holds is not known
}

// ClaimsOn looks for the files of the directory dir that claim one of the names.
// One that cannot be read is reported when it is used; one that does not exist
// holds nothing. Many names take as long as a few.
func ClaimsOn(dir string, names ...string) *Claims {
	c := &Claims{dir: dir, paths: make(map[string][]string, len(names))}
	paths, _, err := filesOf(dir, isServiceFile)
	if !errors.Is(err, fs.ErrNotExist) {
		c.err = reason(err)
	}
	for _, name := range names {
		c.paths[name] = nil
	}
	only := ""
	if len(names) == 1 {
		only = names[0]
	}
	for _, path := range paths {
		name := claimed(path, only)
		if known, asked := c.paths[name]; asked {
			c.paths[name] = append(known, path)
		}
	}
	return c
}

// first is the first file that claims a name, "" when there is none.
func (c *Claims) first(name string) string {
	if paths := c.paths[name]; len(paths) > 0 {
		return paths[0]
	}
	return ""
}

// claimed is the name of the service that a file holds. If only is not empty other
// names than that need not be told.
func claimed(path, only string) string {
	base := baseName(path)
	if isYAML(path) {
		return base
	}
	text, _, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ""
	case err != nil:
		return base
	// Most files do not hold the name at all, nor an escape that could stand for it.
	case only != "" && base != only && !strings.Contains(string(text), only) && !strings.Contains(string(text), `\`):
		return ""
	}
	g, _ := newGuard(text)
	if g == nil {
		return base
	}
	if g.run(); CheckName(g.name) == nil {
		return g.name
	}
	if root, _ := g.decode(); root != nil {
		if _, is := proxyTable(root); is {
			return "" // a file of a proxy holds no service
		}
	}
	return base
}

// Unlink removes every file of the directory dir that holds the service of that
// name: see [Claims.Unlink].
func Unlink(dir, name string) (path string, err error) { return ClaimsOn(dir, name).Unlink(name) }

// Unlink removes every file that claims a name, which must be one of those that
// were asked for; when there is none, NAME.yml, as zinit 0.3 does. When one of them
// cannot be removed all are still there. The path is that of the first file, or of
// the one that failed; it is empty when there is none: that is no error. As with
// [Save] the error is the reason alone.
func (c *Claims) Unlink(name string) (path string, err error) {
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("the name %w", err)
	}
	if c.err != nil {
		return filepath.Join(c.dir, name+".toml"), c.err
	}
	paths := c.paths[name]
	other := filepath.Join(c.dir, name+".yml")
	if _, err := os.Lstat(other); err == nil && len(paths) == 0 {
		paths = []string{other}
	}
	if len(paths) == 0 {
		return "", nil
	}
	for _, path := range paths {
		if st, err := os.Lstat(path); err == nil && st.IsDir() {
			return path, syscall.EISDIR // os.Remove would remove an empty one
		}
	}
	if len(paths) > 1 {
		if path, err := setAside(paths); err != nil {
			return path, err
		}
	} else if err := os.Remove(paths[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return paths[0], reason(err)
	}
	return paths[0], syncDir(c.dir)
}

// UnlinkLegacy removes the file of zinit 0.2 of that name in the directory dir; that
// there is none is no error. As with [Save] the error is the reason alone.
func UnlinkLegacy(dir, name string) (path string, err error) {
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("the name %w", err)
	}
	path = filepath.Join(dir, name+yamlSuffix)
	switch err := syscall.Unlink(path); { // os.Remove would remove an empty directory
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	case err != nil:
		return path, err
	}
	return path, syncDir(dir)
}

// setAside removes several files, or none of them. A file that can be renamed can
// be removed.
func setAside(paths []string) (path string, err error) {
	aside := make(map[string]string, len(paths))
	for _, path := range paths {
		to := hidden(filepath.Dir(path))
		err := os.Rename(path, to)
		if err == nil {
			aside[path] = to
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err = reason(err)
		for was, is := range aside {
			if e := os.Rename(is, was); e != nil {
				err = errors.Join(err, fmt.Errorf("%s is called %s now: %w", was, is, reason(e)))
			}
		}
		return path, err
	}
	for _, to := range aside {
		_ = os.Remove(to) // nobody loads it: it is as good as gone
	}
	return "", nil
}

package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Save writes s as a file of the directory dir: the one that holds the service of
// that name, or else NAME.toml. In a file that is there only the values that
// differ are changed; comments, order and keys that zinit does not know stay. When
// that cannot be done the file is written anew. When a comment or an unknown key is
// not in it any more, be it for this reason or because what it stood beside is
// gone, what the file was is kept as kept: its path with ~ behind it; otherwise "".
//
// The file is replaced as one step and is on the disk when Save returns. When it
// fails the old file is whole and nothing is left beside it; should only the last
// step fail, to get the new name onto the disk, then the new file is there. The
// error is the reason alone, such as ENOSPC, EROFS, EIO: path says what could not
// be written, with an error too.
//
// A file of another service is never touched. Save must not run twice at the same
// time for the same service.
func Save(dir string, s *Service) (path, kept string, err error) {
	standard := filepath.Join(dir, s.Name+".toml")
	path, err = fileOf(dir, s.Name)
	if err == nil {
		err = mayHold(dir)
	}
	switch {
	case err != nil:
		return cmp.Or(path, standard), "", err
	case path != "":
		kept, err = rewrite(path, s)
		return path, kept, err
	}
	if _, err := os.Lstat(standard); err == nil {
		return standard, "", errors.New("it holds another service: give that file another name")
	}
	return standard, "", replace(standard, Render(s), nil)
}

// mayHold refuses a directory that would not be loaded again.
func mayHold(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return reason(err)
	}
	if why := distrust(dir, st); why != "" && distrusted() == Error {
		return fmt.Errorf("%s %s", dir, why)
	}
	return nil
}

// rewrite has a file say what s is.
func rewrite(path string, s *Service) (kept string, err error) {
	// The file itself is replaced, not a link to it.
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", openError(path, reason(err))
	}
	old, st, err := readFile(file)
	if err != nil {
		return "", err
	}
	text, ok := edit(old, s)
	if distrust(path, st) != "" && distrusted() == Error {
		// Nothing of it is taken over: not its text, nor its mode, nor its place.
		file, st, ok = path, nil, false
	}
	switch {
	case ok && slices.Equal(text, old):
		return "", nil
	case !ok:
		text = Render(s)
	case keeps(old, text):
		return "", replace(file, text, st)
	}
	kept = path + "~"
	if err := replace(kept, old, st); err != nil {
		return "", fmt.Errorf("cannot keep what it was as %s: %w", kept, err)
	}
	if err := replace(file, text, st); err != nil {
		_ = os.Remove(kept) // the file is still there itself
		return "", err
	}
	return kept, nil
}

// Unlink removes the file of the directory dir that holds the service of that
// name; when there is none, NAME.yaml or NAME.yml. The path is empty when there is
// none either: that is no error. As with Save the error is the reason alone.
func Unlink(dir, name string) (path string, err error) {
	if err := CheckName(name); err != nil {
		return "", fmt.Errorf("the name %w", err)
	}
	path, err = fileOf(dir, name)
	if err != nil {
		return filepath.Join(dir, name+".toml"), err
	}
	for _, other := range []string{".yaml", ".yml"} {
		if path != "" {
			break
		}
		at := filepath.Join(dir, name+other)
		if _, err := os.Lstat(at); err == nil {
			path = at
		}
	}
	if path == "" {
		return "", nil
	}
	if st, err := os.Lstat(path); err == nil && st.IsDir() {
		return path, syscall.EISDIR // os.Remove would remove an empty one
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return path, reason(err)
	}
	return path, syncDir(dir)
}

// fileOf finds the file of dir that holds the service of that name, well or not;
// the path is empty when there is none. NAME.toml is looked at first: mostly that
// spares the others.
func fileOf(dir, name string) (path string, err error) {
	first := filepath.Join(dir, name+".toml")
	if claims(first, name) {
		return first, nil
	}
	paths, _, err := filesOf(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for _, path := range paths {
		if path != first && claims(path, name) {
			return path, nil
		}
	}
	return "", err
}

// claims tells whether a file is the one of the service of that name.
func claims(path, name string) bool {
	text, _, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		return baseName(path) == name
	}
	// Most files do not hold the name at all, nor an escape that could stand for it.
	if baseName(path) != name && !strings.Contains(string(text), name) && !strings.Contains(string(text), `\`) {
		return false
	}
	g, _ := newGuard(text)
	if g == nil {
		return baseName(path) == name
	}
	g.run()
	if CheckName(g.name) != nil {
		return baseName(path) == name
	}
	return g.name == name
}

// replace writes a file as one step: those who read it see the old one or the new
// one. The new one has mode and owner of was, where there is one.
func replace(path string, text []byte, was fs.FileInfo) (err error) {
	dir := filepath.Dir(path)
	f, err := createBeside(dir, was)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// What remains then is not ours to report: the first failure is.
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return reason(err)
	}
	return syncDir(dir)
}

// createBeside makes a file in dir under a name that nobody loads.
func createBeside(dir string, was fs.FileInfo) (*os.File, error) {
	mode := fs.FileMode(0o600)
	if st, err := os.Stat(dir); err == nil {
		mode |= st.Mode().Perm() & 0o044 // what nobody else may look into has no readers
	}
	path := filepath.Join(dir, fmt.Sprintf(".zinit-%016x.new", rand.Uint64()))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil || was == nil {
		return f, reason(err)
	}
	if owner, ok := was.Sys().(*syscall.Stat_t); ok {
		// Only root may give files away. Others own what they write.
		_ = f.Chown(int(owner.Uid), int(owner.Gid))
	}
	if err := f.Chmod(was.Mode().Perm()); err != nil {
		f.Close()
		_ = os.Remove(path) // the first failure is what counts
		return nil, reason(err)
	}
	return f, nil
}

// syncDir has the names in a directory reach the disk, where file systems do that.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return reason(err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return reason(err)
	}
	return nil
}

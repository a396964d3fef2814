package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Save writes s as a file of the directory dir: the one that holds the service of
// that name, or else NAME.toml. In a file that is there only the values that
// differ are changed; comments, order and keys that zinit does not know stay. When
// that cannot be done the file is written anew. When a comment or an unknown key is
// not in it any more, be it for this reason or because what it stood beside is
// gone, what the file was is kept as kept: its path with ~ behind it, or with ~1~,
// ~2~ and so on where there is such a file already; otherwise "".
//
// The file is replaced as one step and is on the disk when Save returns. When it
// fails the old file is whole and nothing is left beside it; should only the last
// step fail, to get the new name onto the disk, then the new file is there. The
// error is the reason alone, such as ENOSPC, EROFS, EIO: path says what could not
// be written, with an error too.
//
// A file of another service is never touched. When several files claim the name
// none is: no server would load what was saved. Save must not run twice at the same
// time for the same service.
func Save(dir string, s *Service) (path, kept string, err error) {
	return Defaults{}.Save(dir, s)
}

// Save is [Save] into a directory for whose files the defaults hold.
func (d Defaults) Save(dir string, s *Service) (path, kept string, err error) {
	standard := filepath.Join(dir, s.Name+".toml")
	claims := ClaimsOn(dir, s.Name)
	paths, err := claims.paths[s.Name], claims.err
	if err == nil {
		err = mayHold(dir)
	}
	switch {
	case err != nil:
		return cmp.Or(claims.first(s.Name), standard), "", err
	case len(paths) > 1:
		return paths[0], "", fmt.Errorf("%s is also the name in %s: give each its own name, or remove all but one of the files",
			quoted(s.Name), strings.Join(paths[1:], ", "))
	case len(paths) == 1 && isYAML(paths[0]):
		return paths[0], "", fmt.Errorf("it is a file of zinit 0.2: convert it first, with zinit convert --replace %s", paths[0])
	case len(paths) == 1:
		kept, err = rewrite(paths[0], s, d)
		return paths[0], kept, err
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
func rewrite(path string, s *Service, given Defaults) (kept string, err error) {
	// The file itself is replaced, not a link to it.
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", openError(path, reason(err))
	}
	old, st, err := readFile(file)
	if err != nil {
		return "", err
	}
	text, ok := given.edit(old, s)
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
	kept, fresh, err := keep(path, old, st)
	if err != nil {
		return "", err
	}
	err = replace(file, text, st)
	if err == nil {
		return kept, nil
	}
	// Should only the last step have failed then what it was is nowhere else.
	if now, _, e := readFile(file); e == nil && fresh && slices.Equal(now, old) {
		_ = os.Remove(kept)
	}
	return "", err
}

// maxKept is how many old texts of one file are kept.
const maxKept = 100

// keep writes what the file at path was beside it. A file that is there is never
// changed: it is another one's, or older. When it holds that very text it will do;
// otherwise the new one is fresh.
func keep(path string, old []byte, was fs.FileInfo) (kept string, fresh bool, err error) {
	for i := range maxKept {
		kept = path + "~"
		if i > 0 {
			kept = fmt.Sprintf("%s~%d~", path, i)
		}
		f, err := create(kept, was)
		if errors.Is(err, fs.ErrExist) {
			if text, _, err := readFile(kept); err == nil && slices.Equal(text, old) {
				return kept, false, nil
			}
			continue
		}
		if err == nil {
			if err = fill(f, old); err != nil {
				_ = os.Remove(kept) // the first failure is what counts
			}
		}
		if err == nil {
			err = syncDir(filepath.Dir(kept))
		}
		if err != nil {
			return "", false, fmt.Errorf("cannot keep what it was as %s: %w", kept, err)
		}
		return kept, true, nil
	}
	return "", false, fmt.Errorf("cannot keep what it was: %s~ to %s are there already: remove those that nobody needs", path, kept)
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
	if err = fill(f, text); err == nil {
		err = reason(os.Rename(f.Name(), path))
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// fill writes a new file to the disk and closes it.
func fill(f *os.File, text []byte) error {
	_, err := f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return reason(err)
}

// createBeside makes a file in dir under a name that nobody loads.
func createBeside(dir string, was fs.FileInfo) (*os.File, error) {
	sweep(dir, time.Now())
	return create(hidden(dir), was)
}

// create makes a file that is not there yet, with mode and owner of was.
func create(path string, was fs.FileInfo) (*os.File, error) {
	mode := fs.FileMode(0o600)
	if st, err := os.Stat(filepath.Dir(path)); err == nil {
		mode |= st.Mode().Perm() & 0o044 // what nobody else may look into has no readers
	}
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

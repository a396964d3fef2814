package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A candidate is a file that may become the program that servers run.
type candidate struct {
	path    string
	version string // what it says it is
}

// versionTime is how long a candidate may take to say its version.
const versionTime = 5 * time.Second

// examine looks whether a file can take the place of the program at like: a static
// program for the same processor, that says its version when it is asked, and has
// the checksum that is wanted (hexadecimal, "" for none).
func examine(path, like, sum string) (candidate, error) {
	c := candidate{path: path}
	if sum != "" {
		is, err := checksum(path)
		if err != nil {
			return c, err
		}
		if !strings.EqualFold(is, sum) {
			return c, fmt.Errorf("%s has the sha256 %s, not %s: it is not the file that you mean", path, is, strings.ToLower(sum))
		}
	}
	if err := sameKind(path, like); err != nil {
		return c, err
	}
	var err error
	c.version, err = askVersion(path)
	return c, err
}

func checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the candidate: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("cannot read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// sameKind compares what the kernel looks at when it executes a program.
func sameKind(path, like string) error {
	theirs, err := readImage(path)
	if err != nil {
		return fmt.Errorf("%s is no program that Linux executes: %w", path, err)
	}
	ours, err := readImage(like)
	if err != nil {
		return fmt.Errorf("cannot look at the program that runs now, %s: %w", like, err)
	}
	switch {
	case theirs.machine != ours.machine || theirs.class != ours.class || theirs.data != ours.data:
		return fmt.Errorf("%s is for another processor (%s, not %s)", path, theirs.processor(), ours.processor())
	case theirs.kind != elfExec && theirs.kind != elfDyn:
		return fmt.Errorf("%s is no program, but an object file or something else", path)
	case theirs.dynamic:
		return fmt.Errorf("%s is linked dynamically: it would not run where its libraries are missing; build it static", path)
	}
	return nil
}

// askVersion runs the candidate, by the name zinit, with -V.
func askVersion(path string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	// Standard input and errors: none. What it prints is what counts.
	p, err := os.StartProcess(path, []string{"zinit", "-V"}, &os.ProcAttr{Files: []*os.File{nil, w, nil}})
	w.Close()
	if err != nil {
		return "", fmt.Errorf("cannot run the candidate: %w", err)
	}
	stop := time.AfterFunc(versionTime, func() { _ = p.Kill() }) // it may have ended
	text, readErr := io.ReadAll(io.LimitReader(r, 1<<10))
	state, err := p.Wait()
	late := !stop.Stop()
	switch {
	case err != nil:
		return "", fmt.Errorf("cannot wait for %s: %w", path, err)
	case late:
		return "", fmt.Errorf("%s -V has not ended within %s", path, versionTime)
	case !state.Success():
		return "", fmt.Errorf("%s -V failed: %s", path, state)
	case readErr != nil:
		return "", fmt.Errorf("cannot read what %s -V prints: %w", path, readErr)
	}
	version, ok := strings.CutPrefix(string(bytes.TrimSpace(text)), "zinit ")
	if !ok || version == "" || strings.ContainsAny(version, " \n") {
		return "", fmt.Errorf("%s is no zinit: -V prints %q", path, text)
	}
	return version, nil
}

// install puts the candidate in the place of the program at target, at once: there
// is never a moment without a whole file. The old one is kept beside as target.old;
// restore brings it back.
func (c candidate) install(target string) (restore func() error, err error) {
	old, err := os.Stat(target)
	if err != nil {
		return nil, fmt.Errorf("cannot look at the program that runs now: %w", err)
	}
	fresh, err := copyBeside(c.path, target, old.Mode().Perm())
	if err != nil {
		return nil, err
	}
	kept := target + ".old"
	if err := os.Remove(kept); err != nil && !errors.Is(err, os.ErrNotExist) {
		os.Remove(fresh) // the reason is told already
		return nil, fmt.Errorf("cannot make room for the old program: %w", err)
	}
	if err := os.Link(target, kept); err != nil {
		os.Remove(fresh)
		return nil, fmt.Errorf("cannot keep the old program: %w", err)
	}
	if err := os.Rename(fresh, target); err != nil {
		os.Remove(fresh)
		return nil, fmt.Errorf("cannot install %s: %w", target, err)
	}
	return func() error { return os.Rename(kept, target) }, nil
}

// copyBeside copies a file into the directory of target, on the disk when it
// returns.
func copyBeside(from, target string, mode os.FileMode) (path string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", fmt.Errorf("cannot read the candidate: %w", err)
	}
	defer in.Close()
	path = target + ".new"
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot remove what an earlier upgrade left: %w", err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", fmt.Errorf("cannot write beside the program that runs now: %w", err)
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err != nil {
		os.Remove(path)
		return "", fmt.Errorf("cannot write %s: %w", path, err)
	}
	return path, nil
}

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
	path    string // what the user calls it
	copy    string // beside its target: what is examined is what is installed
	version string // what it says it is
}

func (c candidate) String() string { return fmt.Sprintf("%s (zinit %s)", c.path, c.version) }

// versionTime is how long a candidate may take to say its version.
const versionTime = 5 * time.Second

// bring copies a file beside target and examines the copy, which is removed when it
// is refused. like is the program that runs now.
func bring(path, target, like, sum string) (candidate, error) {
	c := candidate{path: path, copy: target + ".new"}
	old, err := os.Stat(target)
	if err != nil {
		return c, fmt.Errorf("cannot look at the program to be replaced: %w", err)
	}
	if err := copyTo(path, c.copy, old.Mode().Perm()); err != nil {
		return c, err
	}
	if err := c.examine(like, sum); err != nil {
		os.Remove(c.copy) // the reason is told already
		return c, err
	}
	return c, nil
}

// examine looks whether the copy can take the place of the program at like: a static
// program for the same processor, that says its version when it is asked, and has
// the checksum that is wanted (hexadecimal, "" for none).
func (c *candidate) examine(like, sum string) error {
	if sum != "" {
		is, err := checksum(c.copy)
		if err != nil {
			return err
		}
		if !strings.EqualFold(is, sum) {
			return fmt.Errorf("%s has the sha256 %s, not %s: it is not the file that you mean", c.path, is, strings.ToLower(sum))
		}
	}
	if err := c.sameKind(like); err != nil {
		return err
	}
	return c.askVersion()
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
func (c *candidate) sameKind(like string) error {
	path := c.path
	theirs, err := readImage(c.copy)
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

// askVersion runs the copy, by the name zinit, with -V.
func (c *candidate) askVersion() error {
	path := c.path
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	// Standard input and errors: none. What it prints is what counts.
	p, err := os.StartProcess(c.copy, []string{"zinit", "-V"}, &os.ProcAttr{Files: []*os.File{nil, w, nil}})
	w.Close()
	if err != nil {
		return fmt.Errorf("cannot run the candidate: %w", err)
	}
	stop := time.AfterFunc(versionTime, func() { _ = p.Kill() }) // it may have ended
	text, readErr := io.ReadAll(io.LimitReader(r, 1<<10))
	state, err := p.Wait()
	late := !stop.Stop()
	switch {
	case err != nil:
		return fmt.Errorf("cannot wait for %s: %w", path, err)
	case late:
		return fmt.Errorf("%s -V has not ended within %s: it is no zinit", path, versionTime)
	case !state.Success():
		return fmt.Errorf("%s -V failed: %s: it is damaged, or no zinit; copy it again", path, state)
	case readErr != nil:
		return fmt.Errorf("cannot read what %s -V prints: %w", path, readErr)
	}
	version, ok := strings.CutPrefix(string(bytes.TrimSpace(text)), "zinit ")
	if !ok || version == "" || strings.ContainsAny(version, " \n") {
		return fmt.Errorf("%s is no zinit: -V prints %q", path, text)
	}
	c.version = version
	return nil
}

// install puts the candidate in the place of the program at target, at once: there
// is never a moment without a whole file. What runs now, exe, is kept beside as
// target.old; restore brings it back. It need not be what is at target: the keeper
// may have gone back from that.
func (c candidate) install(target, exe string) (restore func() error, err error) {
	kept := target + ".old"
	if err := keep(target, kept, exe); err != nil {
		os.Remove(c.copy) // the reason is told already
		return nil, fmt.Errorf("cannot keep the old program: %w", err)
	}
	if err := os.Rename(c.copy, target); err != nil {
		os.Remove(c.copy)
		return nil, fmt.Errorf("cannot install %s: %w", target, err)
	}
	return func() error { return os.Rename(kept, target) }, nil
}

// keep has what runs now be at kept.
func keep(target, kept, exe string) error {
	runs, err := os.Stat(exe)
	if err != nil {
		return err
	}
	is, err := os.Stat(target)
	if err != nil {
		return err
	}
	old, err := os.Stat(kept)
	switch {
	case err == nil && os.SameFile(old, runs):
		return nil // it may be target, too
	case !os.SameFile(is, runs):
		spare := kept + ".new"
		if err := copyTo(exe, spare, is.Mode().Perm()); err != nil {
			return err
		}
		return os.Rename(spare, kept)
	}
	if err := os.Remove(kept); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Link(target, kept)
}

// copyTo copies a file into one that is made anew, on the disk when it returns.
func copyTo(from, path string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("cannot read %s: %s", from, bareReason(err))
	}
	defer in.Close()
	if is, err := in.Stat(); err != nil || !is.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", from)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove what an earlier upgrade left: %w", err)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("cannot write beside the program that is to be replaced: %w", err)
	}
	_, err = io.Copy(out, in)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

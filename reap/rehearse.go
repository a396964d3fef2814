package reap

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Candidate is a program that has shown that it can go on where this one is.
type Candidate struct {
	path  string
	file  os.FileInfo
	holds bool // it said HoldsSignals
}

// HoldsSignals is what a program may say in a rehearsal, in a line, when it bears
// signals from its first instruction on, those that Go's runtime is open to as well.
const HoldsSignals = "zinit holds signals"

// RehearsalName is argv[0] of a program that is to show that it can take over: it
// calls Inherit, whose Heritage says Rehearsal, and writes the Answer.
const RehearsalName = "zinit-rehearsal"

// rehearsalFD is the descriptor of the heritage in a rehearsal.
const rehearsalFD = 3

// maxAnswer bounds what is read of what a candidate says.
const maxAnswer = 4 << 10

// Rehearse starts the program at path as a child with what it would be left now. It
// waits, at most for bound, until the program has answered that it understands; the
// error says why it is not to be trusted. Nothing else waits meanwhile. There must be
// one rehearsal at a time.
func (k *Keeper) Rehearse(path string, notes map[string]string, bound time.Duration) (*Candidate, error) {
	c, err := newCandidate(path)
	if err != nil {
		return nil, err
	}
	text, err := k.wouldLeave(notes, bound)
	if err != nil {
		return nil, err
	}
	h, err := decodeHeritage(text)
	if err != nil {
		return nil, fmt.Errorf("cannot read what would be left: %w", err)
	}
	lines, err := k.rehearse(path, text, h.Answer(), bound)
	if err != nil {
		return nil, err
	}
	c.holds = slices.Contains(lines, HoldsSignals)
	return c, c.unchanged()
}

// newCandidate looks at a file. The kernel executes scripts too; what a script would
// do here nobody knows.
func newCandidate(path string) (*Candidate, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &Candidate{path: path}
	if c.file, err = f.Stat(); err != nil {
		return nil, err
	}
	var magic [4]byte
	if _, err := io.ReadFull(f, magic[:]); err != nil || string(magic[:]) != "\x7fELF" {
		return nil, fmt.Errorf("%s is no program for this kind of machine", path)
	}
	return c, nil
}

// unchanged reports, by an error, that another file is at the path now.
func (c *Candidate) unchanged() error {
	now, err := os.Stat(c.path)
	if err != nil {
		return err
	}
	was, is := c.file.Sys().(*syscall.Stat_t), now.Sys().(*syscall.Stat_t)
	if !os.SameFile(c.file, now) || was.Size != is.Size || was.Mtim != is.Mtim || was.Ctim != is.Ctim {
		return fmt.Errorf("%s was replaced while it was tried: ask again", c.path)
	}
	return nil
}

// wouldLeave is the heritage of this moment.
func (k *Keeper) wouldLeave(notes map[string]string, bound time.Duration) ([]byte, error) {
	list := k.bequest(true, notes)
	var held []message
	err := k.kept.errand(nil, bound, func(h *holder, _ []int) { held = h.bequest() })
	return encodeHeritage(append(list, held...)), err
}

func (k *Keeper) rehearse(path string, text []byte, answer string, bound time.Duration) (lines []string, err error) {
	late := time.NewTimer(bound)
	defer late.Stop()
	state, err := sealed("zinit-rehearsal", text)
	if err != nil {
		return nil, fmt.Errorf("cannot write what would be left: %w", err)
	}
	defer unix.Close(state)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	select {
	case <-k.rehearsed: // of one that did not end in time
	default:
	}
	k.rehearsal++
	who := Child{Key: rehearsalKey, Run: k.rehearsal}
	env := append(os.Environ(), fmt.Sprintf("%s=%d", heritageEnv, rehearsalFD))
	_, err = k.table.Start(who, path, []string{RehearsalName}, &syscall.ProcAttr{
		Env: env, Sys: &syscall.SysProcAttr{Setsid: true},
		Files: []uintptr{uintptr(k.null), w.Fd(), w.Fd(), uintptr(state)},
	})
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", path, err)
	}
	for {
		select {
		case e := <-k.rehearsed:
			if e.Run == who.Run {
				lines = said(r)
				return lines, judge(path, e.Status, lines, answer)
			}
		case <-late.C:
			_ = k.table.Signal(who.Key, who.Run, unix.SIGKILL, ScopeMain) // it may be gone by now
			return nil, fmt.Errorf("%s did not answer within %v", path, bound)
		}
	}
}

// said is what has been written into a pipe by now, as far as it is of interest.
func said(r *os.File) []string {
	_ = r.SetReadDeadline(time.Now().Add(time.Second)) // something that it has started may hold on
	text, _ := io.ReadAll(io.LimitReader(r, maxAnswer))
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func judge(path string, status Status, lines []string, answer string) error {
	switch {
	case status.Success() && slices.Contains(lines, answer):
		return nil
	case status.Success():
		return fmt.Errorf("%s ended without saying that it can take over", path)
	case lines[0] == "":
		return fmt.Errorf("%s cannot take over: %v", path, status)
	}
	return fmt.Errorf("%s cannot take over (%v): %s", path, status, lines[0])
}

// RefuseReexec tells a server that has asked for it why this process stays as it is.
func (k *Keeper) RefuseReexec(why string) {
	s := k.current()
	if s == nil {
		return
	}
	s.mu.Lock()
	asked := s.asked
	s.asked = false
	s.mu.Unlock()
	if asked {
		s.out.add(&Reexecuted{Refused: why})
		s.flush()
	}
}

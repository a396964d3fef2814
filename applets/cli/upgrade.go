package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

const (
	// upgradeTime is how long a new server may take until it answers.
	upgradeTime = 10 * time.Second
	// probation is how long it must then live to have proved itself.
	probation = time.Second
)

// upgrade has the server that answers replaced by one of another program. Nothing
// that it supervises is touched. When the new one does not prove itself the old
// program is put back.
func upgrade(s *session) int {
	if err := s.upgrade(s.call.words[0]); err != nil {
		return s.fail(err)
	}
	return env.ExitDone
}

func (s *session) upgrade(file string) error {
	limit, err := s.timeout()
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = upgradeTime
	}
	var old sock.Ping
	if err := s.ask(sock.MethodPing, nil, &old); err != nil {
		return err
	}
	keeper := s.host.parent(old.PID)
	if keeper < 1 {
		return fmt.Errorf("cannot see the keeper of the server (pid %d): run zinit upgrade on the same machine, where /proc is", old.PID)
	}
	target, err := s.program(old.PID)
	if err != nil {
		return err
	}
	alone, err := lockProgram(target)
	if err != nil {
		return err
	}
	defer alone.Close()
	if _, err := os.Lstat(target + ".old"); err == nil {
		// If what runs is on trial, that is the only one that has proved itself, and must
		// not make room for it.
		if err := s.outlives(old.PID); err != nil {
			return err
		}
	}
	exe := s.host.path(old.PID, "exe")
	before, err := os.Stat(exe)
	if err != nil {
		return fmt.Errorf("cannot look at the program that runs now: %s", bareReason(err))
	}
	c, err := bring(file, target, exe, s.call.value("sha256", ""))
	if err != nil {
		return err
	}
	s.printf("%s is zinit %s; the server is %s\n", file, c.version, old.Version)
	restore, err := c.install(target, exe)
	if err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	fresh, err := s.replace(keeper, old.PID, target, c.String(), before, limit)
	if err == nil {
		s.printf("zinit %s runs (pid %d); the old program is %s.old\n", fresh.Version, fresh.PID, target)
		if s.call.has("keeper") {
			return s.replaceKeeper(keeper, target, c.String(), limit)
		}
		return nil
	}
	reason := err
	if err := restore(); err != nil {
		return fmt.Errorf("%w; and cannot put the old program back: %w: move %s.old to %s", reason, err, target, target)
	}
	if _, err = s.replace(keeper, fresh.PID, target, "the old program", nil, limit); err != nil {
		return fmt.Errorf("%w; the old program is back, but: %w", reason, err)
	}
	return fmt.Errorf("%w: the old program is back and runs", reason)
}

// lockProgram keeps others from upgrading what is at target, or beside it, until the
// file is closed.
func lockProgram(target string) (*os.File, error) {
	dir, err := os.Open(filepath.Dir(target))
	if err != nil {
		return nil, fmt.Errorf("cannot look at the program to be replaced: %w", err)
	}
	err = syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		dir.Close()
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, fmt.Errorf("%s is being upgraded by somebody else: wait until that has ended", target)
	case err != nil:
		return nil, fmt.Errorf("cannot lock %s: %w", filepath.Dir(target), err)
	}
	return dir, nil
}

// program is the file that the server runs, under the name that it has now.
func (s *session) program(server int) (string, error) {
	if path := s.call.value("to", ""); path != "" {
		return path, nil
	}
	path, err := os.Readlink(s.host.path(server, "exe"))
	if err != nil {
		return "", fmt.Errorf("cannot see what the server runs: %s: be root or its user, or name the file with --to", bareReason(err))
	}
	path = strings.TrimSuffix(path, " (deleted)")
	// The keeper may have gone back to what an upgrade put aside.
	if name, kept := strings.CutSuffix(path, ".old"); kept {
		if _, err := os.Stat(name); err == nil {
			return name, nil
		}
	}
	return path, nil
}

// replace has the keeper end the server and start what is at target, which people
// know by that name. It returns
// when a server that runs that has lived through its probation, or the keeper went
// back to the program from before, which may be nil.
func (s *session) replace(keeper, old int, target, name string, before os.FileInfo, limit time.Duration) (sock.Ping, error) {
	if err := s.host.kill(keeper, s.host.replaces(old)); err != nil {
		return sock.Ping{}, fmt.Errorf("cannot signal the keeper (pid %d): %s: run zinit upgrade as its user", keeper, bareReason(err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	now := sock.Ping{PID: old}
	for {
		p, err := s.meet(ctx)
		if err == nil && p.PID != old {
			is, _ := os.Stat(s.host.path(p.PID, "exe")) // nil when it has ended
			reached, back := runs(is, target), is != nil && before != nil && os.SameFile(is, before)
			if reached || back {
				err = s.outlives(p.PID)
			}
			switch {
			case err == nil && reached:
				return p, nil
			case err == nil && back:
				return p, fmt.Errorf("no server of %s was ready, so the keeper (pid %d) went back: its log says more", name, keeper)
			}
		}
		if err == nil {
			now = p
		}
		select {
		case <-time.After(connectAgain):
		case <-ctx.Done():
			return now, fmt.Errorf("no server of %s has proved itself within %s", name, limit)
		}
	}
}

// replaces is the signal by which a keeper replaces its server: the command line of the
// server tells whether SIGUSR1 means something else.
func (h host) replaces(server int) syscall.Signal {
	line, err := os.ReadFile(h.path(server, "cmdline"))
	if err == nil && slices.Contains(strings.Split(string(line), "\x00"), env.ReportFlag) {
		return env.ReplaceSignal
	}
	return syscall.SIGUSR1
}

// meet asks whoever answers now who it is, over a connection of its own.
func (s *session) meet(ctx context.Context) (sock.Ping, error) {
	c, err := sock.Dial(ctx, s.path)
	if err != nil {
		return sock.Ping{}, err
	}
	defer c.Close()
	return c.Ping(ctx)
}

// replaceKeeper has the keeper become the program at target, in place.
func (s *session) replaceKeeper(keeper int, target, name string, limit time.Duration) error {
	if err := s.flush(); err != nil {
		return err
	}
	if err := s.host.kill(keeper, syscall.SIGUSR2); err != nil {
		return fmt.Errorf("cannot signal the keeper (pid %d): %s: run zinit upgrade as its user", keeper, bareReason(err))
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		is, _ := os.Stat(s.host.path(keeper, "exe")) // nil when it has ended
		if runs(is, target) {
			s.printf("the keeper (pid %d) is that program, too\n", keeper)
			return nil
		}
		select {
		case <-time.After(connectAgain):
		case <-ctx.Done():
			return fmt.Errorf("the server is replaced, the keeper (pid %d) did not become %s within %s: its log says why", keeper, name, limit)
		}
	}
}

// runs reports whether what a process runs is the file that is at path now.
func runs(is os.FileInfo, path string) bool {
	want, err := os.Stat(path)
	return err == nil && is != nil && os.SameFile(is, want)
}

// outlives waits for the end of a server for as long as it is on probation: its
// connection tells.
func (s *session) outlives(pid int) error {
	witness, err := dial(s.path)
	if err != nil {
		return err
	}
	defer witness.Close()
	if err := witness.SetReadDeadline(time.Now().Add(probation)); err != nil {
		return err
	}
	_, err = witness.Read(make([]byte, 1))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server (pid %d) ended", pid)
	}
	return nil
}

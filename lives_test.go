package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// Services that prove by themselves what became of them. Each process keeps a
// diary, NAME.diary: "begin LIFE PID" and, where it knows its end, "end LIFE HOW",
// HOW being an exit code or minus a signal. A lock that only one process can hold
// proves that it is the only one of its name.

// A life is one process.
type life struct {
	name   string
	number int // from 1
	diary  *os.File
	term   <-chan os.Signal
}

// openLife takes the lock and opens the diary. The caller numbers the life.
func openLife(dir, name string, term <-chan os.Signal) (*life, error) {
	path := filepath.Join(dir, name)
	lock, err := unix.Open(path+".lock", unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(lock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		appendLine(filepath.Join(dir, "doubles"), fmt.Sprintf("%s: pid %d began while another one lived: %v\n", name, os.Getpid(), err))
		return nil, err
	}
	diary, err := os.OpenFile(path+".diary", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &life{name: name, diary: diary, term: term}, err
}

func appendLine(path, text string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		f.WriteString(text) // whoever reads it misses it otherwise
		f.Close()
	}
}

// note writes into the diary; n is a pid, an exit code or minus a signal.
func (l *life) note(what string, n int) {
	if _, err := fmt.Fprintf(l.diary, "%s %d %d\n", what, l.number, n); err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the diary:", err)
	}
}

// paused waits for a while; false: it is to end.
func (l *life) paused(d time.Duration) bool {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
		return true
	case <-l.term:
		return false
	}
}

// begin is called when what the mode of the life promises is so.
func (l *life) begin() { l.note("begin", os.Getpid()) }

// lifeModes are the ways to live; each begins and returns an exit code.
var lifeModes = map[string]func(*life) int{
	"still": (*life).still,
	// Only ends when it is killed.
	"deaf": func(l *life) int {
		signal.Ignore(syscall.SIGTERM)
		return l.still()
	},
	// Takes a moment to end, and is in a hurry when it is told a second time.
	"slow": func(l *life) int {
		if code := l.still(); code != 0 {
			return code
		}
		if !l.paused(100 * time.Millisecond) {
			return 5
		}
		return 0
	},
	"mute": (*life).mute,
	// Fails at once.
	"fail": func(l *life) int {
		l.begin()
		return 7
	},
}

// liveAsChild is the child: its arguments are DIR NAME MODE.
func liveAsChild() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	l, err := openLife(os.Args[1], os.Args[2], term)
	if err == nil {
		d := diary{path: l.diary.Name()}
		err = d.read()
		l.number = d.begun() + 1
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot live:", err)
		return 97
	}
	code := lifeModes[os.Args[3]](l)
	l.note("end", code)
	return code
}

// still writes a line now and then until it is stopped. A pipe that nobody reads
// any more would end it.
func (l *life) still() int {
	l.begin()
	for l.paused(5 * time.Millisecond) {
		if _, err := fmt.Println(l.name, "lives"); err != nil {
			return 96
		}
	}
	return 0
}

// mute writes nothing, so that it lives on when nobody can read it, has a process
// beside it and ignores SIGTERM every second time.
func (l *life) mute() int {
	if err := exec.Command("sleep", "100000").Start(); err != nil {
		return 97
	}
	if l.number%2 == 0 {
		signal.Ignore(syscall.SIGTERM)
	}
	l.begin()
	<-l.term
	return 0
}

// A diary is what the processes of a service wrote about themselves.
type diary struct {
	path  string
	off   int64
	lives []diaryEntry // by number, from 1; lives[0] is none
}

// A diaryEntry is one life.
type diaryEntry struct {
	pid   int
	ended bool
	how   int // an exit code, or minus a signal
}

// read takes in what was written since it was called last.
func (d *diary) read() error {
	if len(d.lives) == 0 {
		d.lives = make([]diaryEntry, 1)
	}
	f, err := os.Open(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, d.off, 1<<30))
	if err != nil {
		return err
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	d.off += int64(len(text))
	for line := range strings.Lines(string(text)) {
		var what string
		var number, n int
		if _, err := fmt.Sscanf(line, "%s %d %d\n", &what, &number, &n); err != nil {
			return fmt.Errorf("cannot read %q in %s: %w", line, d.path, err)
		}
		for number >= len(d.lives) {
			d.lives = append(d.lives, diaryEntry{})
		}
		switch what {
		case "begin":
			d.lives[number].pid = n
		case "end":
			d.lives[number].ended, d.lives[number].how = true, n
		default:
			return fmt.Errorf("life %d of %s: %s %d: %w", number, d.path, what, n, syscall.Errno(n))
		}
	}
	return nil
}

// begun is how many lives there were.
func (d *diary) begun() int { return max(0, len(d.lives)-1) }

// last is the latest life.
func (d *diary) last() diaryEntry { return d.lives[len(d.lives)-1] }

// observed makes a service of one of lifeModes and returns its diary.
func (in *instance) observed(name, mode string, rest ...string) *diary {
	in.t.Helper()
	if lifeModes[mode] == nil {
		in.t.Fatalf("nobody lives like %q", mode)
	}
	room := filepath.Join(in.dir, "room")
	if err := os.MkdirAll(room, 0o755); err != nil {
		in.t.Fatal(err)
	}
	in.write(name, file(name, fmt.Sprintf("%s %s %s %s", childExec(in.t, "live"), room, name, mode), rest...))
	in.t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(room, "doubles")); err == nil {
			in.t.Errorf("two processes of one service lived at a time:\n%s", text)
		}
	})
	return &diary{path: filepath.Join(room, name+".diary")}
}

// lived waits until a service has had so many lives, of which the last one is what
// the server says that it runs as.
func (in *instance) lived(service string, d *diary, n int) {
	in.t.Helper()
	in.waitState(service, "running")
	in.until(fmt.Sprintf("life %d of %s", n, service), func() (string, bool) {
		err := d.read()
		return fmt.Sprint(d.lives, err), err == nil && d.begun() >= n
	})
	s := in.status(service)
	if d.begun() != n || d.last().pid != s.State.PID || d.last().ended {
		in.t.Fatalf("%s runs as %d, want life %d of %+v", service, s.State.PID, n, d.lives)
	}
}

// signalChild signals a process, but no other one that has got its pid.
func signalChild(parent, pid int, sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if p, ok := processOf(pid); !ok || p.parent != parent {
		return fmt.Errorf("it is not a child of %d: %v", parent, p)
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// send signals a child of the keeper's, and waits until a SIGSTOP has stopped it
// or a SIGKILL killed it.
func (in *instance) send(pid int, sig syscall.Signal) {
	in.t.Helper()
	if err := signalChild(in.keeperPID(), pid, sig); err != nil {
		in.t.Fatal(err)
	}
	in.obeyed(pid, sig)
}

// freeze stops the keeper; thaw lets it go on.
func (in *instance) freeze() {
	in.t.Helper()
	in.keeper.Process.Signal(syscall.SIGSTOP)
	in.obeyed(in.keeperPID(), syscall.SIGSTOP)
}

func (in *instance) thaw() { in.keeper.Process.Signal(syscall.SIGCONT) }

func (in *instance) obeyed(pid int, sig syscall.Signal) {
	in.t.Helper()
	if sig != syscall.SIGSTOP && sig != syscall.SIGKILL {
		return
	}
	in.until(fmt.Sprintf("pid %d to have got %v", pid, sig), func() (string, bool) {
		p, there := processOf(pid)
		return p.String(), sig == syscall.SIGSTOP && p.state == "T" || sig == syscall.SIGKILL && (!there || p.state == "Z")
	})
}

// ping asks on a new connection who answers.
func ping(ctx context.Context, socket string) (pid int, err error) {
	client, err := sock.Dial(ctx, socket)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	pong, err := client.Ping(ctx)
	return pong.PID, err
}

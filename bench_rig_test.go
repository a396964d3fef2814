package main_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// A benchRig is the place of one comparison: programs that were built for it, and
// a directory of its own for each thing that it starts.
type benchRig struct {
	ctx   context.Context
	dir   string // everything is in it
	peer  string // the directory of zinit 0.3.9's programs; empty: not installed
	count int

	// A server with idle services since the beginning: what it does while
	// everything else is measured is the last row. rest gets the first look.
	resting *benchServer
	rest    chan benchRest
}

// newBenchRig builds the programs. The caller closes the rig.
func newBenchRig(ctx context.Context) (*benchRig, error) {
	dir, err := os.MkdirTemp(benchBase(), "zinit-bench-")
	if err != nil {
		return nil, err
	}
	r := &benchRig{ctx: ctx, dir: dir}
	if err := r.build(); err != nil {
		r.close()
		return nil, err
	}
	if r.peer, err = findPeer(); err != nil {
		r.close()
		return nil, err
	}
	if err := r.beginRest(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// findPeer is the directory of zinit 0.3.9's programs: the one that ZINIT_PEER
// names, or where cargo puts them; empty when they are not installed.
func findPeer() (string, error) {
	named := os.Getenv("ZINIT_PEER")
	dir := named
	if dir == "" {
		dir = filepath.Join(os.Getenv("HOME"), ".cargo", "bin")
	}
	out, err := exec.Command(filepath.Join(dir, "zinit-server"), "-V").Output()
	switch {
	case strings.TrimSpace(string(out)) == "zinit-server 0.3.9":
		return dir, nil
	case named == "":
		return "", nil
	}
	return "", fmt.Errorf("ZINIT_PEER: %s does not have zinit 0.3.9: %q, %v", named, out, err)
}

// benchBase is where the directory is made: in memory when programs can be run
// there, as /run usually is, so that the disk has no part in the figures.
func benchBase() string {
	var fs unix.Statfs_t
	if unix.Statfs("/dev/shm", &fs) == nil && fs.Flags&unix.ST_NOEXEC == 0 && unix.Access("/dev/shm", unix.W_OK) == nil {
		return "/dev/shm"
	}
	return ""
}

func (r *benchRig) build() error {
	built.Do(func() {})
	dir, err := program()
	if err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(dir, "zinit"), r.program("zinit")); err != nil {
		return err
	}
	for _, name := range []string{"idle", "spawn", "respawn", "flood", "drain", "revive", "answer"} {
		cc := exec.CommandContext(r.ctx, "cc", "-O2", "-static", "-o", r.program(name), "testdata/bench/"+name+".c")
		if out, err := cc.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot compile %s.c: %w: %s", name, err, out)
		}
	}
	return nil
}

func (r *benchRig) program(name string) string { return filepath.Join(r.dir, name) }

// close ends whatever is left and removes everything.
func (r *benchRig) close() {
	r.sweep(r.dir)
	os.RemoveAll(r.dir)
}

// sweep kills the processes whose program is in dir: they can only be ours.
func (r *benchRig) sweep(dir string) {
	for again := true; again; {
		again = false
		all, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range all {
			exe, err := os.Readlink(p + "/exe")
			if err != nil || !strings.HasPrefix(exe, dir+"/") {
				continue
			}
			pid, _ := strconv.Atoi(filepath.Base(p))
			if syscall.Kill(pid, syscall.SIGKILL) == nil {
				again = true // it may have started another meanwhile
			}
		}
	}
}

// room makes a directory with copies of programs, so that processes can be told
// apart by where their program is, and no two servers share pages.
func (r *benchRig) room(programs ...string) (string, error) {
	r.count++
	dir := filepath.Join(r.dir, "r"+strconv.Itoa(r.count))
	if err := os.MkdirAll(filepath.Join(dir, "cfg"), 0o755); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Join(dir, "hero", "var"), 0o755); err != nil {
		return "", err
	}
	for _, p := range programs {
		if p == "zinit-server" {
			p = filepath.Join(r.peer, p)
		} else {
			p = r.program(p)
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(p)), text, 0o755); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// poll asks until f says yes, fails, or the time is over.
func (r *benchRig) poll(what string, every, limit time.Duration, f func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	end := time.After(limit)
	for {
		ok, err := f()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("cannot wait longer than %v for %s", limit, what)
		case <-r.ctx.Done():
			return fmt.Errorf("cannot wait for %s: %w", what, r.ctx.Err())
		}
	}
}

// pause lets things settle.
func (r *benchRig) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// A benchServer is a running supervisor, ours or the peer's.
type benchServer struct {
	rig    *benchRig
	side   benchSide
	dir    string
	names  []string
	cmd    *exec.Cmd
	client *sock.Client

	began    time.Time
	answered time.Duration // from the start until it answered a ping
	up       time.Duration // from the start until everything ran
	pids     []int         // of its own processes
}

// benchService is a file for a server.
type benchService struct {
	exec     string // with {} for the server's directory
	requires []string
	keys     string // further lines of the table service
	more     string // further lines, of any table but service and dependencies; {} as in exec
}

// start runs a server until all of its services run. What is in services is
// named s00000 and so on.
func (r *benchRig) start(side benchSide, services []benchService) (*benchServer, error) {
	server := "zinit"
	if side == benchPeer {
		server = "zinit-server"
	}
	dir, err := r.room(server, "idle", "flood")
	if err != nil {
		return nil, err
	}
	s := &benchServer{rig: r, side: side, dir: dir}
	for i, one := range services {
		name := fmt.Sprintf("s%05d", i)
		text := fmt.Sprintf("[service]\nname = %q\nexec = %q\n", name, strings.ReplaceAll(one.exec, "{}", dir)) + one.keys
		if len(one.requires) > 0 {
			text += "\n[dependencies]\nrequires = [\"" + strings.Join(one.requires, `", "`) + "\"]\n"
		}
		if err := os.WriteFile(filepath.Join(dir, "cfg", name+".toml"), []byte(text+strings.ReplaceAll(one.more, "{}", dir)), 0o644); err != nil {
			return nil, err
		}
		s.names = append(s.names, name)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if side == benchOurs {
		if err := os.Symlink("zinit", filepath.Join(dir, "zinit-server")); err != nil {
			return nil, err
		}
	}
	s.cmd = exec.Command(filepath.Join(dir, "zinit-server"), "-c", filepath.Join(dir, "cfg"), "-s", s.socket())
	s.cmd.Env = append(os.Environ(), "HOME="+dir)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.awaitUp(); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

// socket is where the peer's command line looks when there is none in /run.
func (s *benchServer) socket() string { return filepath.Join(s.dir, "hero", "var", "zinit.sock") }

func (s *benchServer) awaitUp() error {
	ctx := s.rig.ctx
	err := s.rig.poll("the socket", time.Millisecond, time.Minute, func() (bool, error) {
		c, err := sock.Dial(ctx, s.socket())
		s.client = c
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	ping, err := s.client.Ping(ctx)
	if err != nil {
		return err
	}
	s.answered = time.Since(s.began)
	s.pids = []int{s.cmd.Process.Pid}
	if s.side == benchOurs {
		s.pids = append(s.pids, ping.PID)
	}
	switch {
	case len(s.names) == 0:
	case s.side == benchOurs:
		var res sock.WaitResult
		res, err = s.client.Wait(ctx, s.names, sock.Running, sock.WaitOptions{Timeout: time.Minute, Settle: true})
		if err == nil && !res.Reached {
			err = errors.New("not all services came up")
		}
	default:
		// The more there are the longer it takes to ask, which must not slow it down.
		every := max(10*time.Millisecond, time.Duration(len(s.names))*50*time.Microsecond)
		err = s.rig.poll("the services", every, 30*time.Second, s.allRun)
	}
	s.up = time.Since(s.began)
	return err
}

// allRun asks a server that can not be waited for.
func (s *benchServer) allRun() (bool, error) {
	list, err := s.client.ListFull(s.rig.ctx)
	if err != nil {
		return false, err
	}
	for _, one := range list {
		if one.State.State != sock.Running {
			return false, nil
		}
	}
	return len(list) == len(s.names), nil
}

// shutdown stops everything in order and tells how long that took.
func (s *benchServer) shutdown() (time.Duration, error) {
	began := time.Now()
	if err := s.client.Shutdown(s.rig.ctx); err != nil {
		s.kill()
		return 0, err
	}
	err := s.reap()
	took := time.Since(began)
	s.kill()
	return took, err
}

// reap waits until the process that was started is gone.
func (s *benchServer) reap() error {
	gone := make(chan error, 1)
	go func() { gone <- s.cmd.Wait() }()
	select {
	case err := <-gone:
		return err
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		return fmt.Errorf("cannot stop the server: %w", errors.Join(errors.New("it is still there after 30 s"), <-gone))
	}
}

// kill ends a server and its services without asking, and removes its files.
func (s *benchServer) kill() {
	s.cmd.Process.Kill()
	if s.client != nil {
		s.client.Close()
	}
	s.rig.sweep(s.dir)
	s.cmd.Wait() // an error here means that it has been waited for
	os.RemoveAll(s.dir)
}

// A benchLoop is a running C program that starts and stops processes.
type benchLoop struct {
	rig *benchRig
	dir string
	cmd *exec.Cmd
	in  io.Closer
	up  time.Duration

	group string // where its cgroups are; empty: it makes none
}

// benchGroup makes a cgroup beside ours; empty where that cannot be done.
func benchGroup(name string) string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	_, own, _ := strings.Cut("\n"+string(text), "\n0::")
	own, _, _ = strings.Cut(own, "\n")
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		at := filepath.Join(mount, own)
		if unix.Access(filepath.Join(at, "cgroup.procs"), unix.W_OK) != nil {
			continue
		}
		// A keeper beside ours sweeps what is named zinit-… and has nobody in it.
		if at = filepath.Join(at, fmt.Sprintf("bench-%d-%s", os.Getpid(), name)); os.Mkdir(at, 0o755) == nil {
			return at
		}
	}
	return ""
}

// loop runs spawn for n processes until all of them have been started. With full, each
// has what ours gives it: a session, pipes for its output and, where there are any, a
// cgroup.
func (r *benchRig) loop(n int, full bool) (*benchLoop, error) {
	dir, err := r.room("spawn", "idle")
	if err != nil {
		return nil, err
	}
	l := &benchLoop{rig: r, dir: dir}
	l.cmd = exec.Command(filepath.Join(dir, "spawn"), strconv.Itoa(n), filepath.Join(dir, "idle"))
	if full {
		l.cmd.Args = append(l.cmd.Args, "capture")
		if l.group = benchGroup(filepath.Base(dir)); l.group != "" {
			l.cmd.Args = append(l.cmd.Args, l.group)
		}
	}
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	l.up = time.Since(began)
	if line != "up\n" {
		r.sweep(dir)
		return nil, fmt.Errorf("cannot start %d processes: %w", n, errors.Join(err, l.cmd.Wait()))
	}
	return l, nil
}

// stop ends the processes and tells how long that took.
func (l *benchLoop) stop() (time.Duration, error) {
	began := time.Now()
	l.in.Close()
	err := l.cmd.Wait()
	took := time.Since(began)
	l.rig.sweep(l.dir)
	os.RemoveAll(l.dir)
	if l.group != "" {
		err = errors.Join(err, os.Remove(l.group))
	}
	return took, err
}

// A benchFifo is where a C program tells its pid and the time.
type benchFifo struct{ f *os.File }

func newBenchFifo(path string) (benchFifo, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !os.IsExist(err) {
		return benchFifo{}, err
	}
	// For reading and writing: there is never an end of the file.
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	return benchFifo{f}, err
}

// next waits for what one process tells: its pid and when, on the clock of benchNow.
func (p benchFifo) next() (pid int, at time.Duration, err error) {
	var told [16]byte
	if err := p.f.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, 0, err
	}
	if _, err := io.ReadFull(p.f, told[:]); err != nil {
		return 0, 0, err
	}
	return int(binary.NativeEndian.Uint64(told[:])), time.Duration(binary.NativeEndian.Uint64(told[8:])), nil
}

// benchNow is the clock that other processes read too.
func benchNow() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

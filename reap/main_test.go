package reap

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays all parts: run with "-play PART ..." as its first
// arguments it is that part instead of the tests.
//
// A scenario is a keeper and a server, each a process of its own, since a keeper
// reaps whatever its process has. The keeper part ends with code 0 if nothing was
// wrong; what is wrong is on its standard error.
func TestMain(m *testing.M) {
	if os.Args[0] == RehearsalName {
		os.Exit(playRehearsal())
	}
	if os.Args[0] == PrepName {
		os.Exit(playPrep())
	}
	if len(os.Args) < 3 || os.Args[1] != "-play" {
		os.Exit(m.Run())
	}
	name, args := os.Args[2], os.Args[3:]
	var err error
	switch name {
	case "keeper":
		err = playKeeper(args)
	case "server":
		err = playServer(args)
	default:
		part, ok := parts[name]
		if !ok {
			err = fmt.Errorf("no such part: %s", name)
			break
		}
		part(args)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s %v: %v\n", name, args, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const patience = 60 * time.Second

type scenario struct {
	// alone makes the keeper process 1 of a PID namespace.
	alone bool
	// before runs in the keeper's process before it becomes one.
	before func() error
	// keeper drives the keeper; nil starts one server, which must end with code 0.
	keeper func(k *keeperPlay) error
	// early runs in the server number n before it connects.
	early func(n int)
	// server is the server number n (from 1).
	server func(n int, s *serverPlay) error
}

var scenarios = map[string]scenario{
	"statuses":  statuses,
	"massStart": massStart, "massDressed": massDressed,
	"order":      order,
	"refusals":   refusals,
	"stranger":   stranger,
	"lingering":  lingering,
	"emptied":    emptied,
	"stopped":    stopped,
	"heir":       heir,
	"reexec":     reexec,
	"candidates": candidates, "execFails": execFails, "asks": asks, "birthAgain": birthAgain, "stoppedAgain": stoppedAgain,
	"halfTold": halfTold, "stuck": stuck,
	"reexecLoad": reexecLoad,
	"storm":      storm,
	"orphaned":   orphaned,
	"forkAgain":  forkAgain, "forkMemory": forkMemory, "noFiles": noFiles, "noExec": noExec, "large": large,
	"birth": birth, "birthOld": birthOld, "first": first, "firstStorm": firstStorm, "badServer": badServer, "restart": restart, "hungExec": hungExec, "idle": idle,
	"daemon": daemon, "outlived": outlived, "refusedPids": refusedPids, "foreign": foreign, "named": named, "watchedAgain": watchedAgain,
	"leftInCgroup": leftInCgroup, "drained": drained, "movedOut": movedOut, "nextTenant": nextTenant, "bombed": bombed, "noInotify": noInotify,
	"oldTenant": oldTenant, "told": told, "fewFiles": fewFiles, "cgroupAgain": cgroupAgain, "guest": guest,
	"prepared": prepared, "notPrepared": notPrepared, "hungPrep": hungPrep, "latePrep": latePrep,
	"oldKernel": oldKernel, "noPidfd": noPidfd, "noThreads": noThreads,
}

type keeperPlay struct {
	*Keeper
	name   string
	number int
	// left is what the program before this one in the keeper's process has left.
	left *Heritage
}

// serve starts the next server.
func (k *keeperPlay) serve() error {
	k.number++
	_, err := k.StartServer(self(), []string{self(), "-play", "server", k.name, strconv.Itoa(k.number), "3", "4"},
		os.Environ(), [3]*os.File{nil, os.Stderr, os.Stderr})
	return err
}

// serveReady starts a server and waits until it is ready.
func (k *keeperPlay) serveReady() error {
	if err := k.serve(); err != nil {
		return err
	}
	_, err := next[ServerReady](k)
	return err
}

// next waits for a notice of type N; others before it are an error.
func next[N Notice](k *keeperPlay) (N, error) {
	var none N
	select {
	case n := <-k.Notices():
		want, ok := n.(N)
		if !ok {
			return none, fmt.Errorf("notice %#v instead of %T", n, none)
		}
		return want, nil
	case <-time.After(patience):
		return none, fmt.Errorf("no notice %T", none)
	}
}

// ended waits for the server's end, which must be a good one, as long as something
// happens.
func (k *keeperPlay) ended() error {
	for {
		select {
		case n := <-k.Notices():
			if e, ok := n.(ServerExited); ok {
				if !e.Status.Success() {
					return fmt.Errorf("server: %v", e.Status)
				}
				return nil
			}
		case <-k.Changed():
		case <-time.After(patience):
			return fmt.Errorf("the server does not end; children: %v", len(k.Children()))
		}
	}
}

// until waits for a fact that changes when a child ends, as long as some do.
func (k *keeperPlay) until(what string, fact func() bool) error {
	for !fact() {
		select {
		case <-k.Changed():
		case <-time.After(patience):
			return fmt.Errorf("does not happen: %s", what)
		}
	}
	return nil
}

func playKeeper(args []string) error {
	sc := scenarios[args[0]]
	if sc.alone {
		if err := ownProc(); err != nil {
			fmt.Fprintln(os.Stderr, "SKIP: no PID namespace of its own:", err)
			return nil
		}
	}
	left, err := Inherit()
	if err != nil {
		return err
	}
	if sc.before != nil {
		if err := sc.before(); err != nil {
			return err
		}
	}
	log := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "keeper: "+format+"\n", args...) }
	k := &keeperPlay{name: args[0], left: left}
	if left != nil {
		k.Keeper, err = Resume(left, log)
		k.number, _ = strconv.Atoi(left.Notes["number"])
	} else {
		k.Keeper, err = NewKeeper(log)
	}
	if err != nil {
		return err
	}
	if sc.keeper == nil {
		sc.keeper = func(k *keeperPlay) error {
			if err := k.serve(); err != nil {
				return err
			}
			return k.ended()
		}
	}
	err = sc.keeper(k)
	for _, c := range k.Children() {
		k.Signal(c.Key, c.Run, unix.SIGKILL, ScopeGroup)
	}
	k.SignalServer(unix.SIGKILL)
	sweep()
	return err
}

type serverPlay struct {
	*Client
	inv     Inventory
	backlog []Event
}

func playServer(args []string) error {
	number, _ := strconv.Atoi(args[1])
	fd1, _ := strconv.Atoi(args[2])
	fd2, _ := strconv.Atoi(args[3])
	if early := scenarios[args[0]].early; early != nil {
		early(number)
	}
	client, inv, err := Connect(fd1, fd2)
	if err != nil {
		return err
	}
	return scenarios[args[0]].server(number, &serverPlay{Client: client, inv: inv})
}

// event waits for the next event.
func (s *serverPlay) event() (Event, error) {
	for len(s.backlog) == 0 {
		select {
		case s.backlog = <-s.Events():
		case <-time.After(patience):
			return nil, fmt.Errorf("no event")
		}
	}
	e := s.backlog[0]
	s.backlog = s.backlog[1:]
	return e, nil
}

// nextEvent waits for the next event, which must be an E.
func nextEvent[E Event](s *serverPlay) (E, error) {
	var none E
	e, err := s.event()
	if err != nil {
		return none, fmt.Errorf("%w: wanted %T", err, none)
	}
	want, ok := e.(E)
	if !ok {
		return none, fmt.Errorf("event %#v instead of %T", e, none)
	}
	return want, nil
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// play runs a scenario and fails the test with what its processes said.
func play(t *testing.T, name string) {
	t.Helper()
	out, err := run(t, name)
	if strings.Contains(string(out), "SKIP: ") {
		t.Skip(strings.TrimSpace(string(out)))
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	if len(out) > 0 && testing.Verbose() {
		t.Logf("%s", out)
	}
}

// run runs a scenario, whatever becomes of it, until its processes have closed
// their outputs.
func run(t *testing.T, name string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self(), "-play", "keeper", name)
	cmd.Env = append(os.Environ(), "ZINIT_TEST_TINY="+tiny(t), "GORACE=atexit_sleep_ms=0")
	if testing.Short() {
		cmd.Env = append(cmd.Env, "ZINIT_TEST_SHORT=1")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if scenarios[name].alone {
		if os.Getuid() != 0 {
			t.Skip("a PID namespace needs root")
		}
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	return cmd.CombinedOutput()
}

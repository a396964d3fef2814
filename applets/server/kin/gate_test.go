package kin

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/proc"
)

// TestWhatBelongsToZinit in a family of processes: 10 is the keeper, or 1.
func TestWhatBelongsToZinit(t *testing.T) {
	all := []proc.Process{
		{Pid: 1, Start: 1, Session: 1},
		{Pid: 10, Ppid: 1, Start: 5, Session: 5},      // a keeper that is not process 1
		{Pid: 11, Ppid: 10, Start: 6, Session: 11},    // its server
		{Pid: 20, Ppid: 10, Start: 7, Session: 20},    // main process of web
		{Pid: 21, Ppid: 20, Start: 8, Session: 21},    // made by that, in a session of its own
		{Pid: 22, Ppid: 10, Start: 9, Session: 20},    // left by that
		{Pid: 23, Ppid: 10, Start: 9, Session: 23},    // an orphan, or a hook
		{Pid: 30, Ppid: 1, Start: 9, Session: 30},     // a daemon of somebody's, in the cgroup of db
		{Pid: 31, Ppid: 1, Start: 9, Session: 31},     // a daemon, or a hook of process 1
		{Pid: 32, Ppid: 1, Start: 9, Session: 40},     // a daemon that leads no session
		{Pid: 33, Ppid: 0, Start: 9, Session: 33},     // came from outside of the container
		{Pid: 34, Ppid: 20, Start: 2, Session: 34},    // older than who seems to be its parent
		{Pid: 50, Ppid: 51, Start: 9, Session: 50},    // a ring
		{Pid: 51, Ppid: 50, Start: 9, Session: 50},    //
		{Pid: 2, Ppid: 0, Start: 1, Session: 0},       // a thread of the kernel
		{Pid: 60, Ppid: 59, Start: 1000, Session: 60}, // its parent is gone
	}
	tree := proc.NewTree(all)
	of := map[int]string{20: "web", 30: "db"}
	apart := kin{self: 11, keeper: 10, of: of}
	first := kin{self: 10, keeper: 1, of: of}
	grouped := kin{self: 10, keeper: 1, of: of, grouped: true}
	for _, tc := range []struct {
		name                     string
		pid                      int
		apart, first, firstGroup string // the owner; "-": foreign, "": zinit
	}{
		{"process 1", 1, "-", "", ""},
		{"the keeper, or the server", 10, "", "", ""},
		{"the server, or a child of it", 11, "", "", ""},
		{"a main process", 20, "web", "web", "web"},
		{"a descendant of it", 21, "web", "web", "web"},
		{"one left in its session", 22, "web", "web", "web"},
		{"a member of a cgroup", 30, "db", "db", "db"},
		{"a leader of a session below process 1", 31, "-", "", "-"},
		{"an orphan below process 1", 32, "-", "-", "-"},
		{"from outside", 33, "-", "-", "-"},
		{"not a descendant", 34, "-", "-", "-"},
		{"a ring", 50, "-", "-", "-"},
		{"a thread of the kernel", 2, "-", "-", "-"},
		{"without a parent", 60, "-", "-", "-"},
		{"an orphan below the keeper", 23, "", "", ""},
	} {
		p, _ := tree.Find(tc.pid, 0)
		for _, one := range []struct {
			who  string
			k    kin
			want string
		}{{"apart", apart, tc.apart}, {"as process 1", first, tc.first}, {"as process 1 with cgroups", grouped, tc.firstGroup}} {
			got, ours := one.k.owner(tree, p)
			if !ours {
				got = "-"
			}
			if got != one.want {
				t.Errorf("%s (%d), keeper %s: %q, want %q", tc.name, tc.pid, one.who, got, one.want)
			}
		}
	}
}

// watchman is a Gatekeeper of which this process is neither server nor keeper.
func watchman(fs proc.FS, views ...*supervise.View) *Gatekeeper {
	return &Gatekeeper{
		Family: Family{Proc: fs, Keeper: -1, Group: func(string) ([]int, bool) { return nil, false }},
		views:  func() []*supervise.View { return views },
		note:   func(string, string) {},
		grace:  time.Second, turns: make(chan struct{}, 1),
	}
}

func (g *Gatekeeper) ask(t *testing.T, s *config.Service) (*supervise.Obstacle, error) {
	t.Helper()
	type answer struct {
		o   *supervise.Obstacle
		err error
	}
	got := make(chan answer, 1)
	g.Look(t.Context(), s, func(o *supervise.Obstacle) { t.Errorf("it is ended: %v", o) }, func(o *supervise.Obstacle, err error) { got <- answer{o, err} })
	a := <-got
	return a.o, a.err
}

func TestALookWithoutProcSaysWhatHelps(t *testing.T) {
	g := watchman(proc.FS{Root: t.TempDir()})
	for _, s := range []*config.Service{{Name: "a", Ports: []uint16{1}}, {Name: "b", ProcessFilters: []string{"x"}}, {Name: "c", Ports: []uint16{1}, KillOthers: true}} {
		if o, err := g.ask(t, s); o != nil || !errors.Is(err, proc.ErrNoProc) {
			t.Errorf("%s: %v %v", s.Name, o, err)
		}
	}
}

// TestKillOthersSparesItsOwnServer, and says so, whatever holds the port.
func TestKillOthersSparesItsOwnServer(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	for _, tc := range []struct {
		name string
		view *supervise.View
		kill bool
		want string
	}{
		{"the server", &supervise.View{Name: "db"}, true, "it belongs to zinit: stop what has started it"},
		{"another service", &supervise.View{Name: "db", Pid: os.Getpid()}, true, "it belongs to the service db: stop db"},
		{"another service, without kill_others", &supervise.View{Name: "db", Pid: os.Getpid()}, false, "it belongs to the service db: stop db"},
		{"an earlier run", &supervise.View{Name: "web", Pid: os.Getpid()}, false, "an earlier run has left it behind: stop it, or set kill_others = true"},
	} {
		tc.view.Config = &config.Service{}
		g := watchman(proc.FS{}, tc.view)
		o, err := g.ask(t, &config.Service{Name: "web", Ports: []uint16{port}, KillOthers: tc.kill})
		if err != nil || o == nil || o.Next != tc.want || !strings.Contains(o.Fact, "is in use by") {
			t.Errorf("%s: %v %v, want %q", tc.name, o, err, tc.want)
		}
	}
}

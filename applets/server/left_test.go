package server

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"zinit/reap"
	"zinit/sock"
)

func namesLeft(list []sock.Child) string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// TestWhatIsLeftOfEarlierRunsIsShown where cgroups tell.
func TestWhatIsLeftOfEarlierRunsIsShown(t *testing.T) {
	h := newHouse(t, player("web", ""), player("down", "exit=0", "oneshot = true"), player("empty", "exit=0", "oneshot = true"),
		player("fork", "", "type = \"forking\""))
	h.wait("web", "running")
	h.wait("down empty", "exited")
	h.wait("fork", "starting")
	g := h.gauged()
	web, fork := h.k.find("web"), h.k.find("fork")
	start := h.s.sup.Snapshot().Find("web").Start
	if start < 1 {
		t.Fatalf("web has started at %d", start)
	}
	h.inhabit(
		body{pid: 70001, ppid: 1, name: "older", start: start - 1},
		body{pid: 70002, ppid: web.pid, name: "younger", start: start + 1},
		body{pid: 70003, ppid: 1, name: "survivor", start: start + 1},
	)
	for name, pids := range map[string][]int{"web": {web.pid, 70001, 70002}, "down": {70003}, "empty": nil, "fork": {fork.pid, 70001}} {
		text := ""
		for _, pid := range pids {
			text += fmt.Sprintf("%d\n", pid)
		}
		g.group(t, name, map[string]string{"cpu.stat": "usage_usec 3\n", "cgroup.procs": text})
	}
	for name, want := range map[string]string{"web": "older", "down": "survivor", "empty": "", "fork": ""} {
		full := h.full(name)
		if got := namesLeft(full.Left); got != want {
			t.Errorf("left of %s are %q, not %q", name, got, want)
		}
		if (full.Cgroup != "") != (want != "" || name == "fork") || full.CgroupMissing != "" {
			t.Errorf("the cgroup of %s is %q, %q", name, full.Cgroup, full.CgroupMissing)
		}
	}
}

// TestWithoutCgroupsStraysMayBeOfAnybody and belong to nobody that is known.
func TestWithoutCgroupsStraysMayBeOfAnybody(t *testing.T) {
	h := newHouse(t, player("web", ""), player("down", "exit=0", "oneshot = true"), player("never", "", resting))
	h.wait("web", "running")
	h.wait("down", "exited")
	g := h.gauged()
	g.becomes(t, gauging{none: errors.New("no cgroup v2 tree is mounted")})
	h.s.keeper, h.s.self = os.Getpid(), 70009
	web := h.k.find("web").pid
	h.s.brood = newBrood([]reap.Child{{Key: "web", Run: 1, Pid: web}, {Key: "web/probe", Run: 1, Pid: 70004}})
	h.inhabit(
		body{pid: os.Getpid(), ppid: 1, name: "keeper"},
		body{pid: 70001, ppid: os.Getpid(), name: "stray"},
		body{pid: 70002, ppid: 70001, name: "below"},
		body{pid: 70003, ppid: os.Getpid(), name: "member", session: web},
		body{pid: 70004, ppid: os.Getpid(), name: "probe"},
		body{pid: 70009, ppid: os.Getpid(), name: "server"},
	)
	for name, want := range map[string]string{"web": "stray", "down": "stray", "never": ""} {
		full := h.full(name)
		if got := namesLeft(full.Strays); got != want || full.CgroupMissing != "no cgroup v2 tree is mounted" || full.Left != nil {
			t.Errorf("%s: %q, %q, %v", name, got, full.CgroupMissing, full.Left)
		}
	}
}

func TestABroodIsWhomTheKeeperHasStarted(t *testing.T) {
	b := newBrood([]reap.Child{{Key: "a", Pid: 1}, {Key: "b", Pid: 2, MainGone: true}})
	alive := func() (list []int) {
		for pid := range 10 {
			if b.known(pid) {
				list = append(list, pid)
			}
		}
		return list
	}
	for _, c := range []struct {
		ev   reap.Event
		want string
	}{
		{reap.GroupGone{Key: "b"}, "[1]"},
		{reap.Spawned{Key: "b/hook", Pid: 3}, "[1 3]"},
		{reap.Exited{Key: "b/hook", Pid: 9}, "[1 3]"},
		{reap.Exited{Key: "b/hook", Pid: 3}, "[1]"},
		{reap.Watched{Key: "a", Pid: 4}, "[4]"},
		{reap.Exited{Key: "a", Pid: 1}, "[4]"},
		{reap.Exited{Key: "a", Pid: 4}, "[]"},
	} {
		if b.heard(c.ev); fmt.Sprint(alive()) != c.want {
			t.Errorf("after %+v: %v, not %s", c.ev, alive(), c.want)
		}
	}
}

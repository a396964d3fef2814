package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zinit/reap/cgroup"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// A toyGauge has a directory for the cgroup of each service that has one.
type toyGauge struct {
	mu sync.Mutex
	gauging
}

// gauging is what a toyGauge knows.
type gauging struct {
	root    string
	none    error
	refused []cgroup.Refusal
}

func (g *toyGauge) now() gauging {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gauging
}

// becomes gives it other knowledge, and another directory.
func (g *toyGauge) becomes(t *testing.T, other gauging) {
	other.root = t.TempDir()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gauging = other
}

func (g *toyGauge) NoCgroups() error                { return g.now().none }
func (g *toyGauge) Refused(string) []cgroup.Refusal { return g.now().refused }
func (g *toyGauge) Cgroup(service string) string    { return filepath.Join(g.now().root, service+".svc") }
func (g *toyGauge) Stats(s string) (cgroup.Stats, bool) {
	stats := cgroup.ReadStats(g.Cgroup(s))
	return stats, stats.CPU != cgroup.Unknown
}

// group gives a service a cgroup with these files.
func (g *toyGauge) group(t *testing.T, service string, files map[string]string) {
	t.Helper()
	mkdir(t, g.Cgroup(service))
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(g.Cgroup(service), name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// gauged gives a house a gauge; nobody may have asked it about cgroups before.
func (h *house) gauged() *toyGauge {
	g := &toyGauge{gauging: gauging{root: h.t.TempDir()}}
	h.s.gauge = g
	return g
}

// kinds is a house with services of all types, and what can be under way with them.
func kinds(t *testing.T) *house {
	const forever = "\n[lifecycle]\nhook_timeout_ms = 3600000"
	h := newHouse(t,
		player("shop", "", "type = \"notify\"\nwatchdog = \"1h\"\ndescription = \"the shop\"\nuser = \"www-data\"\ngroup = \"shop\"\n"+
			"exec_reload = \"/play deaf\"\n[limits]\nmemory_max = \"512M\"\ncpu_quota = \"50%\"\ntasks_max = 100"+forever),
		player("mute", "", "type = \"notify\""),
		player("prepares", "", "exec_start_pre = \"/play deaf\""+forever),
		player("unprepared", "", "exec_start_pre = \"/play exit=3\"\n"+stays),
		player("leaves", "", "exec_stop = \"/play deaf\""+forever),
		player("mounts", "exit=0", "type = \"oneshot\"\nremain_after_exit = true"),
		player("backup", "exit=0", "type = \"oneshot\"\n[timer]\nevery = \"1h\""),
		player("paused", "exit=0", "type = \"oneshot\"\n[timer]\nevery = \"2h\""),
		player("needs", "", needs("requires", "backup")),
		player("fork", "exit=0", "type = \"forking\"\n"+stays),
	)
	h.wait("leaves", "running")
	for _, name := range []string{"leaves", "paused"} {
		if err := h.s.sup.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	says := "3 guests"
	h.wait("mute shop prepares", "starting")
	h.s.sup.Notify("shop", supervise.Notice{Ready: true, Status: &says})
	h.wait("shop mounts", "running")
	eventually(t, "the work of mounts is done", func() (string, bool) {
		v := h.s.sup.Snapshot().Find("mounts")
		return v.State.String(), v.Pid == 0
	})
	h.wait("unprepared fork", "failed")
	h.wait("needs", "blocked")
	h.wait("leaves", "stopping")
	return h
}

func TestRepliesAboutAllKinds(t *testing.T) {
	golden(t, kinds(t).dial(), "server_kinds")
}

// full is the status of a service, with all there is.
func (h *house) full(name string) (r sock.ServiceStatusFull) {
	h.dial().result(sock.MethodStatusFull, name, &r)
	return r
}

func TestUsageIsWhatTheCgroupCounts(t *testing.T) {
	h := kinds(t)
	g := h.gauged()
	main, hook := h.k.find("shop").pid, h.k.find("prepares/hook").pid
	h.inhabit(
		body{pid: 17866, ppid: main, name: "sh", start: 7, cpu: time.Second},
		body{pid: 17867, ppid: 1, name: "left", start: 7, cpu: time.Second},
		body{pid: hook, ppid: 1, name: "hook", start: 7},
	)
	members := fmt.Sprintf("%d\n17866\n17867\n17999\n", main) // the last one is gone by now
	for _, c := range []struct {
		name    string
		service string
		files   map[string]string
		want    *sock.Usage
	}{
		{"with all controllers", "shop", map[string]string{
			"cpu.stat": "usage_usec 7000001\nuser_usec 1\n", "memory.current": "4096\n", "memory.peak": "8192\n",
			"pids.current": "17\n", "memory.events": "oom 1\noom_kill 2\n", "cgroup.procs": members,
		}, &sock.Usage{
			CPUFrom: sock.FromCgroup, CPUUsec: 7000001, MemoryFrom: sock.FromCgroup, MemoryBytes: 4096, MemoryPeakBytes: 8192,
			OOMKills: 2, Tasks: 17, TasksFrom: sock.FromCgroup,
		}},
		{"on a hybrid layout", "shop", map[string]string{
			"cpu.stat": "usage_usec 12\n", "cgroup.threads": members, "cgroup.procs": members,
		}, &sock.Usage{
			CPUFrom: sock.FromCgroup, CPUUsec: 12, MemoryFrom: sock.FromProc, MemoryBytes: 3 * bodySize, Tasks: 4, TasksFrom: sock.FromCgroup,
		}},
		{"without a cgroup", "shop", nil, &sock.Usage{
			CPUFrom: sock.FromProc, CPUUsec: 1_000_000, MemoryFrom: sock.FromProc, MemoryBytes: 2 * bodySize, Tasks: 2, TasksFrom: sock.FromProc,
		}},
		{"of a hook alone", "prepares", map[string]string{
			"cpu.stat": "usage_usec 3\n", "cgroup.threads": strconv.Itoa(hook) + "\n", "cgroup.procs": strconv.Itoa(hook) + "\n",
		}, &sock.Usage{
			CPUFrom: sock.FromCgroup, CPUUsec: 3, MemoryFrom: sock.FromProc, MemoryBytes: bodySize, Tasks: 1, TasksFrom: sock.FromCgroup,
		}},
		{"of what is down", "unprepared", map[string]string{"cpu.stat": "usage_usec 12\n"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.becomes(t, gauging{})
			if c.files != nil {
				g.group(t, c.service, c.files)
			}
			full := h.full(c.service)
			if !reflect.DeepEqual(full.Usage, c.want) {
				t.Errorf("got %+v", full.Usage)
			}
			if has := full.Cgroup == g.Cgroup(c.service); has != (c.files != nil && c.want != nil) {
				t.Errorf("its cgroup is %q", full.Cgroup)
			}
			var stats sock.Stats
			h.dial().result(sock.MethodStats, c.service, &stats)
			if !reflect.DeepEqual(stats.Usage, c.want) {
				t.Errorf("stats has %+v", stats.Usage)
			}
		})
	}
}

func TestLimitsThatAreNotInForceAreNamed(t *testing.T) {
	h := kinds(t)
	g := h.gauged()
	for _, c := range []struct {
		name  string
		knows gauging
		files map[string]string
		want  string
	}{
		{"all in force", gauging{}, map[string]string{
			"memory.max": "536870912\n", "memory.high": "max\n", "cpu.max": "50000 100000\n", "cpu.weight": "100\n", "pids.max": "100\n",
		}, "memory_max=536870912 cpu_quota=500 tasks_max=100"},
		{"what the kernel said first", gauging{refused: []cgroup.Refusal{{Limit: "cpu_quota", Why: "no permission"}}}, map[string]string{
			"memory.max": "max\n", "pids.max": "100\n", "memory.high": "4096\n",
		}, "memory_max: it applies when the service is started next; memory_high=4096 cpu_quota: no permission; tasks_max=100"},
		{"no controllers", gauging{}, map[string]string{},
			"memory_max: the memory controller is not available in ROOT; cpu_quota: the cpu controller is not available in ROOT; " +
				"tasks_max: the pids controller is not available in ROOT;"},
		{"no cgroups", gauging{none: errors.New("there is no cgroup2 file system")}, nil,
			"memory_max: there is no cgroup2 file system; cpu_quota: there is no cgroup2 file system; tasks_max: there is no cgroup2 file system;"},
		{"no cgroup of its own", gauging{}, nil,
			"memory_max: the service has no cgroup; cpu_quota: the service has no cgroup; tasks_max: the service has no cgroup;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.becomes(t, c.knows)
			if c.files != nil {
				c.files["cpu.stat"] = "usage_usec 1\n"
				g.group(t, "shop", c.files)
			}
			var words []string
			for _, l := range h.full("shop").Limits {
				if l.InForce {
					words = append(words, fmt.Sprintf("%s=%d", l.Name, l.Value))
				} else {
					words = append(words, l.Name+": "+l.Why+";")
				}
			}
			if got := strings.ReplaceAll(strings.Join(words, " "), g.now().root, "ROOT"); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

// Hooks, and what has left the main process, are among the processes of a service.
func TestTheProcessesInACgroupAreShown(t *testing.T) {
	h := kinds(t)
	g := h.gauged()
	main, hook := h.k.find("shop").pid, h.k.find("prepares/hook").pid
	h.inhabit(
		body{pid: 17866, ppid: main, name: "sh", start: 7},
		body{pid: 17867, ppid: 1, name: "left", start: 7},
		body{pid: 17868, ppid: 1, name: "wa\ny", start: 7},
		body{pid: hook, ppid: 1, name: "hook", start: 7},
	)
	g.group(t, "shop", map[string]string{"cpu.stat": "usage_usec 3\n", "cgroup.procs": fmt.Sprintf("%d\n17866\n17867\n17868\n", main)})
	g.group(t, "prepares", map[string]string{"cpu.stat": "usage_usec 3\n", "cgroup.procs": fmt.Sprintf("%d\n", hook)})
	for name, want := range map[string]string{
		"shop": fmt.Sprintf("shop (pid=%d)\n  └─ sh (pid=17866, ppid=%d, sleeping)\n  others in its cgroup:\n"+
			"  ├─ left (pid=17867, ppid=1, sleeping)\n  └─ wa\\ny (pid=17868, ppid=1, sleeping)", main, main),
		"prepares": fmt.Sprintf("prepares (no main process)\n  others in its cgroup:\n  └─ hook (pid=%d, ppid=1, sleeping)", hook),
		"mounts":   "mounts is not running",
	} {
		var got sock.Output
		h.dial().result(sock.MethodDebugProcs, name, &got)
		if got.Output != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got.Output, want)
		}
	}
}

func TestReasonsOfNewKindsNameTheNextStep(t *testing.T) {
	for want, why := range map[string]machine.Cause{
		"exec_start_pre failed: /bin/x: exit code 3: see zinit logs web":                      {Kind: machine.HookFailed, Name: "exec_start_pre", Text: "/bin/x: exit code 3"},
		"watchdog: no sign of life for 10s: see zinit logs web":                               {Kind: machine.WatchdogTimeout, After: 10 * time.Second},
		"no main process: its pid file /x does not exist: see zinit logs web":                 {Kind: machine.NoMain, Text: "its pid file /x does not exist"},
		"exit code 0 before it said that it is ready: what does not say so is of type simple": {Kind: machine.Unready},
		"killed: out of memory: have it use less, or give it more with memory_max":            {Outcome: machine.Outcome{Signal: 9, OOM: true}},
		"exit code 3": {Outcome: machine.Outcome{Code: 3}},
	} {
		v := &supervise.View{Name: "web", Config: &config.Service{}, State: machine.Failed{Why: why}, Reason: why.String()}
		if got := reason(nil, v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAStartThatTakesTooLongNamesWhatIsMostOftenWrong(t *testing.T) {
	why := machine.Cause{Kind: machine.StartTimeout, After: time.Second}
	for want, cfg := range map[string]config.Service{
		"its command has not ended; one that stays in the foreground is of type simple": {Type: config.TypeForking},
		"it has not said READY=1; what never says so is of type simple":                 {Type: config.TypeNotify},
		"it has not written a line to descriptor 3; what never does has no notify_fd":   {NotifyFD: 3},
		"see zinit logs web, or raise start_timeout_ms":                                 {Name: "web", Type: config.TypeForking, Health: &config.Health{}},
		"raise start_timeout_ms": {},
	} {
		v := &supervise.View{Name: "web", Config: &cfg, State: machine.Failed{Why: why}, Reason: why.String()}
		if got := reason(nil, v); got != "start timeout: not ready after 1s: "+want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What is in the way and is no other service has a line like others.
func TestWhyNamesWhatIsNoService(t *testing.T) {
	snap := newHouse(t).s.sup.Snapshot()
	v := &supervise.View{Name: "getty", Config: &config.Service{}, State: machine.Blocked{}, Reason: "waiting for other services to finish starting"}
	got := explain(snap, v)
	want := sock.WhyBlocked{
		Name: "getty", Blocked: true, Reason: v.Reason, WaitingOn: sock.Names{}, ConflictsWith: sock.Names{},
		ASCII: "[?] getty (blocked)\n  -> waiting for other services to finish starting",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := obstacles(snap, v); got != v.Reason {
		t.Errorf("the graph says %q", got)
	}
}

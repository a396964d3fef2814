package server

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
	"zinit/supervise/proc"
)

// A body is a process in the /proc of a house.
type body struct {
	pid, ppid int
	name      string
	start     uint64
	cpu       time.Duration
	session   int // 0: 1
}

// bodySize is how much memory each has: whole pages, whatever their size is.
const bodySize = 25 << 16

// inhabit gives a house a /proc of its own, in which the main processes of all its
// services are, as the toy keeper started them, and whoever else; the last one
// that has a pid is it.
func (h *house) inhabit(more ...body) {
	h.t.Helper()
	h.s.proc = proc.FS{Root: h.t.TempDir()}
	if err := os.Symlink(strconv.Itoa(os.Getpid()), filepath.Join(h.s.proc.Root, "self")); err != nil {
		h.t.Fatal(err)
	}
	var all []body
	for _, v := range h.s.sup.Snapshot().Views {
		if v.Pid != 0 {
			all = append(all, body{pid: v.Pid, ppid: os.Getpid(), name: v.Name, start: v.Start, session: v.Pid})
		}
	}
	for _, b := range append(all, more...) {
		dir := filepath.Join(h.s.proc.Root, strconv.Itoa(b.pid))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			h.t.Fatal(err)
		}
		text := fmt.Sprintf("%d (%s) S %d 1 %d 0 -1 0 0 0 0 0 %d 0 0 0 20 0 1 0 %d 0 %d 0",
			b.pid, b.name, b.ppid, max(b.session, 1), b.cpu/(10*time.Millisecond), b.start, bodySize/os.Getpagesize())
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(text), 0o644); err != nil {
			h.t.Fatal(err)
		}
	}
}

// inspected is a house to look into: web has children and grandchildren, db has
// none, the pid of reused belongs to a later process.
func inspected(t *testing.T) *house {
	h := newHouse(t,
		"[target]\nname = \"multi-user\"\n"+needs("requires", "web"),
		player("db", ""),
		player("off", "", resting),
		player("web", "", "[dependencies]\nrequires = [\"db\"]\nwants = [\"off\"]\nafter = [\"never\"]"),
		player("reused", ""),
		player("blk", "", needs("requires", "off")),
		player("rival", "", needs("conflicts", "db")),
		player("never", "exit=3", stays),
		player("again", "exit=3", "[lifecycle]\nrestart_delay_ms = 3600000\nrestart_delay_max_ms = 36000000"),
		player("sig", "die", stays),
		player("shotok", "exit=0", "oneshot = true"),
		player("missing", "", needs("requires", "nosuch")),
		"[service]\nname = \"nodir\"\nexec = \"/refused x\"\n"+stays,
		player("starting", "", checked("3", "")),
		player("stopping", "deaf", "[lifecycle]\nstop_timeout_ms = 3600000"),
		player("stopped", ""),
		"# typo\n[service]\nname = \"typo\"\nexce = \"/bin/true\"\n",
	)
	for _, name := range []string{"stopping", "stopped"} {
		if err := h.s.sup.Stop(name); err != nil {
			t.Fatal(err)
		}
	}
	h.wait("multi-user db web reused", "running")
	h.wait("blk rival", "blocked")
	h.wait("never again sig missing nodir typo", "failed")
	h.wait("shotok stopped", "exited")
	h.wait("starting", "starting")
	h.wait("stopping", "stopping")
	web, reused := h.k.find("web").pid, h.k.find("reused").pid
	h.inhabit(
		body{pid: 17866, ppid: web, name: "sh", start: 7},
		body{pid: 17867, ppid: web, name: "tmux: server", start: 7},
		body{pid: 17870, ppid: 17866, name: ") R 1 (", start: 8},
		body{pid: 17868, ppid: reused, name: "stranger", start: 9},
		body{pid: 17869, ppid: 1, name: "nobody's", start: 9},
		body{pid: reused, ppid: 1, name: "later", start: 5},
	)
	return h
}

func TestRepliesAboutProcesses(t *testing.T) {
	golden(t, inspected(t).dial(), "server_processes")
}

func (l *line) result(method, name string, to any) {
	l.t.Helper()
	reply := l.ask(fmt.Sprintf(`{"jsonrpc":"2.0","method":%q,"params":{"name":%q},"id":1}`, method, name))
	if err := json.Unmarshal([]byte(reply), &struct{ Result any }{to}); err != nil {
		l.t.Fatal(err)
	}
}

func TestTheWorkOfAProcessIsAnAverage(t *testing.T) {
	h := newHouse(t, player("web", ""))
	h.wait("web", "running")
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		t.Fatal(err)
	}
	web := h.k.find("web").pid
	h.inhabit(body{pid: web, ppid: os.Getpid(), name: "web", start: 1, cpu: time.Duration(now.Nano() / 2)})
	var got sock.Stats
	h.dial().result("service.stats", "web", &got)
	if got.PID != web || got.MemoryBytes != bodySize || got.CPUPercent < 40 || got.CPUPercent > 51 {
		t.Errorf("got %+v", got)
	}
}

func TestChildrenComeWithTheHighestPidFirst(t *testing.T) {
	var got sock.Children
	inspected(t).dial().result("service.children", "web", &got)
	want := []sock.Child{
		{MemoryBytes: bodySize, Name: ") R 1 (", PID: 17870},
		{MemoryBytes: bodySize, Name: "tmux: server", PID: 17867},
		{MemoryBytes: bodySize, Name: "sh", PID: 17866},
	}
	if !slices.Equal(got.Children, want) {
		t.Errorf("got %+v, want %+v", got.Children, want)
	}
}

// TestWithoutProc: who asks for processes is told what is missing; what can be
// told without them is.
func TestWithoutProc(t *testing.T) {
	h := newHouse(t, player("web", ""), player("off", "", resting))
	h.wait("web", "running")
	h.s.proc = proc.FS{Root: t.TempDir()}
	l := h.dial()
	const missing = "needs /proc, which is not there: mount -t proc proc /proc"
	for method, what := range map[string]string{"service.stats": "stats", "service.children": "children", "debug.process_tree": "processes"} {
		want := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"%s of web: %s","data":{"code":"no_proc"}}}`, what, missing)
		request := `{"jsonrpc":"2.0","method":"` + method + `","params":{"name":"%s"},"id":1}`
		if got := l.ask(fmt.Sprintf(request, "web")); got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
		if got := l.ask(fmt.Sprintf(request, "off")); !strings.Contains(got, `"result":`) {
			t.Errorf("%s of one that does not run: %s", method, got)
		}
	}
	var state sock.Output
	l.result("debug.state", "", &state)
	want := fmt.Sprintf("=== Service Graph State ===\n\nchild processes: %s\n\n[-] off - Inactive\n\n[+] web - Running (pid=%d, uptime=0s)\n\n", missing, h.k.find("web").pid)
	if got := regexp.MustCompile(`uptime=\d+s`).ReplaceAllString(state.Output, "uptime=0s"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

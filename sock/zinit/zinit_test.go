package zinit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zinit/supervise/config/yaml"
)

// old is a server of zinit 0.2: it answers lines, and knows no JSON.
type old struct {
	mu      sync.Mutex
	asked   []string
	answers map[string]string
}

func newOld(t *testing.T, answers map[string]string) (*old, *Client) {
	t.Helper()
	dir, err := os.MkdirTemp("", "zinit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	o := &old{answers: answers}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go o.serve(c)
		}
	}()
	return o, New(filepath.Join(dir, "s")).WithDir(t.TempDir())
}

func (o *old) serve(c net.Conn) {
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	line = strings.TrimSpace(line)
	o.mu.Lock()
	defer o.mu.Unlock()
	reply, ok := o.answers[line]
	if !ok {
		reply = `{"state":"error","body":"unknown command '` + strings.Fields(line)[0][:1] + `' or wrong arguments count"}`
	}
	if !strings.HasPrefix(line, "{") {
		o.asked = append(o.asked, line)
	}
	c.Write([]byte(reply))
}

func (o *old) set(line, reply string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answers[line] = reply
}

const done = `{"state":"ok","body":null}`

func status(state, target string, pid string) string {
	return `{"state":"ok","body":{"after":{"delay":"Success"},"name":"redis","pid":` + pid + `,"state":"` + state + `","target":"` + target + `"}}`
}

func TestCommands(t *testing.T) {
	o, cl := newOld(t, map[string]string{
		"list":           `{"state":"ok","body":{"bad":"Error(Exited(Pid(30575), 3))","redis":"Running"}}`,
		"status redis":   status("Running", "Up", "812"),
		"status nosuch":  `{"state":"error","body":"service name \"nosuch\" unknown"}`,
		"start redis":    done,
		"stop 'a b'":     done,
		"monitor redis":  `{"state":"error","body":"service \"redis\" already monitored"}`,
		"forget redis":   `{"state":"error","body":"service \"redis\" is up"}`,
		"kill r SIGCLD":  done,
		"shutdown":       done,
		"status strange": `{"state":"ok","body":{"state":"Odd State"}}`,
	})
	list, err := cl.List()
	bad, redis := list["bad"], list["redis"]
	if err != nil || len(list) != 2 || !redis.Is(ServiceStateRunning) || !bad.Is(ServiceStateError) || bad.String() != "error(Exited(Pid(30575), 3))" || !bad.Exited() || redis.Exited() {
		t.Errorf("%v %v", list, err)
	}
	st, err := cl.Status("redis")
	if err != nil || st.Pid != 812 || st.Name != "redis" || st.Target != ServiceTargetUp || st.After["delay"] != "Success" {
		t.Errorf("%+v %v", st, err)
	}
	if _, err := cl.Status("nosuch"); !errors.Is(err, ErrUnknownService) {
		t.Error(err)
	}
	if _, err := cl.Status("strange"); err == nil {
		t.Error("a state with a blank was read")
	}
	if is, err := cl.Exists("nosuch"); is || err != nil {
		t.Error(is, err)
	}
	if is, err := cl.Exists("redis"); !is || err != nil {
		t.Error(is, err)
	}
	if err := errors.Join(cl.Start("redis"), cl.Stop("a b"), cl.Kill("r", SIGCLD)); err != nil {
		t.Error(err)
	}
	if err := cl.Monitor("redis"); !errors.Is(err, ErrAlreadyMonitored) {
		t.Error(err)
	}
	if err := cl.Forget("redis"); err == nil || err.Error() != `service "redis" is up` {
		t.Error(err)
	}
	if err := cl.Start("a\nstop b"); err == nil {
		t.Error("a name became a command")
	}
	// An old one has no reboot, and does not tell whether a shutdown is one.
	if err := cl.Reboot(); err != nil {
		t.Error(err)
	}
	if err := cl.Shutdown(); !errors.Is(err, ErrNotSupported) {
		t.Error(err)
	}
	if _, err := cl.Version(); !errors.Is(err, ErrNotSupported) {
		t.Error(err)
	}
	for _, err := range cl.Watch(t.Context()) {
		if !errors.Is(err, ErrNotSupported) {
			t.Error(err)
		}
	}
	if got := o.asked[len(o.asked)-2:]; !slices.Equal(got, []string{"reboot", "shutdown"}) {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cl.WithContext(ended).List(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What an old server does is seen by looking again.
func TestWaitingWithoutEvents(t *testing.T) {
	o, cl := newOld(t, map[string]string{
		"start redis": done, "stop redis": done, "kill redis SIGKILL": done, "monitor redis": done, "forget redis": done,
		"status redis": status("Spawned", "Up", "812"),
	})
	go o.set("status redis", status("Running", "Up", "812"))
	if err := cl.StartWait(30*time.Second, "redis"); err != nil {
		t.Error(err)
	}
	if err := cl.StopWait(time.Millisecond, "redis"); err == nil || !strings.Contains(err.Error(), "should be DOWN") {
		t.Error(err)
	}
	o.set("status redis", status("Running", "Down", "812"))
	if err := cl.StopWait(time.Millisecond, "redis"); err != nil {
		t.Error(err)
	}
	if last := o.asked[len(o.asked)-1]; last != "kill redis SIGKILL" {
		t.Error(last)
	}
	o.set("status redis", status("Failure", "Up", "0"))
	if err := cl.StartWait(time.Millisecond, "redis"); err == nil || err.Error() != "service 'redis' did not start in time. current state: failure" {
		t.Error(err)
	}
	if err := cl.StartMultiple(time.Millisecond, "redis"); err != nil {
		t.Error(err)
	}
	o.set("status redis", status("Error(Signaled(Pid(812), SIGTERM, false))", "Down", "0"))
	if err := errors.Join(cl.AddService("redis", InitService{Exec: "a"}), cl.Destroy(30*time.Second, "redis")); err != nil {
		t.Error(err)
	}
	if _, err := cl.LoadService("redis"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestServiceFiles(t *testing.T) {
	dir := t.TempDir()
	cl := New("/nowhere").WithDir(dir)
	want := InitService{
		Exec: "sh -c '" + strings.Repeat("a long line ", 20) + "'", Oneshot: true, Test: "true", After: []string{"boot", "net"},
		Env: map[string]string{"N": "5", "Q": `a'b"c: d`, "T": "tab\there"}, Log: StdoutLogType,
	}
	if err := cl.AddService("web", want); err != nil {
		t.Fatal(err)
	}
	got, err := cl.LoadService("web")
	if err != nil || got.Exec != want.Exec || !got.Oneshot || got.Test != "true" || !slices.Equal(got.After, want.After) ||
		len(got.Env) != 3 || got.Env["Q"] != want.Env["Q"] || got.Log != StdoutLogType {
		t.Errorf("%+v %v", got, err)
	}
	if err := cl.AddService("web", InitService{Exec: "b"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "web.yaml"))
	if err != nil || string(text) != "exec: b\n" {
		t.Errorf("%q %v", text, err)
	}
	for _, name := range []string{"", "..", "../web", "a/b", "a\x00"} {
		if err := cl.AddService(name, want); err == nil {
			t.Errorf("%q is no name", name)
		}
	}
	if err := errors.Join(cl.RemoveService("web"), cl.RemoveService("web")); err != nil {
		t.Error(err)
	}
	var l LogType
	if err := yaml.Unmarshal([]byte("nowhere"), &l); err == nil {
		t.Error(l)
	}
	var target ServiceTarget
	if err := yaml.Unmarshal([]byte("down"), &target); err != nil || target != ServiceTargetDown {
		t.Error(target, err)
	}
}

// Fault 6: a file that cannot be written leaves the old one.
func TestFault6AServiceThatCannotBeWrittenLeavesTheOldFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount file systems")
	}
	dir := t.TempDir()
	if err := syscall.Mount("small", dir, "tmpfs", 0, "size=64k,mode=755"); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cl := New("/nowhere").WithDir(dir)
	if err := cl.AddService("web", InitService{Exec: "old"}); err != nil {
		t.Fatal(err)
	}
	err := cl.AddService("web", InitService{Exec: strings.Repeat("new ", 50_000)})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	entries, _ := os.ReadDir(dir)
	if s, err := cl.LoadService("web"); err != nil || s.Exec != "old" || len(entries) != 1 {
		t.Errorf("%+v %v %v", s, err, entries)
	}
}

func TestMatches(t *testing.T) {
	_, cl := newOld(t, map[string]string{
		"list":          `{"state":"ok","body":{"dhcp":"Running","web":"Running"}}`,
		"status dhcp":   status("Running", "Up", "1"),
		"status web":    status("Running", "Up", "1"),
		"status nofile": status("Running", "Up", "1"),
	})
	if err := errors.Join(cl.AddService("dhcp", InitService{Exec: "/sbin/udhcpc -i eth0"}), cl.AddService("web", InitService{Exec: "web"})); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filters []Filter
		want    []string
	}{
		{nil, []string{"dhcp", "web"}},
		{[]Filter{WithExec("udhcpc")}, []string{"dhcp"}},
		{[]Filter{WithName("web")}, []string{"web"}},
		{[]Filter{WithExecRegex("-i eth[0-9]$")}, []string{"dhcp"}},
		{[]Filter{WithExecRegex("(")}, nil},
		{[]Filter{WithExec("udhcpc"), WithName("web")}, nil},
	} {
		got, err := cl.Matches(c.filters...)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v %v, want %v", got, err, c.want)
		}
	}
	if _, err := cl.Get("nofile"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestStatesAndVersions(t *testing.T) {
	for text, want := range map[string]string{"Running": "running", "Error(Exited(Pid(1), 3))": "error(Exited(Pid(1), 3))", "Blocked": "blocked"} {
		var s ServiceState
		if err := json.Unmarshal([]byte(`"`+text+`"`), &s); err != nil || s.String() != want {
			t.Errorf("%s: %s %v", text, s.String(), err)
		}
	}
	for _, text := range []string{"", "a b", "Error(", "Error()", "(x)", "a)"} {
		var s ServiceState
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is no state", text)
		}
	}
	order := []string{"0.2.8", "0.2.9-alpha.1", "0.2.9-alpha.beta", "0.2.9-beta", "v0.2.9", "0.2.14-3-gabc", "0.2.14", "0.10.0", "1.0.0+build"}
	for i := 1; i < len(order); i++ {
		a, err := ParseVersion(order[i-1])
		b, other := ParseVersion(order[i])
		if err != nil || other != nil || !a.LT(b) || !b.GT(a) || a.GTE(b) || b.LTE(a) || a.EQ(b) || !a.NE(b) || b.String() != strings.TrimPrefix(order[i], "v") {
			t.Errorf("%s and %s: %v %v", order[i-1], order[i], err, other)
		}
	}
	for _, text := range []string{"", "1.2", "a.b.c", "1.2.3-", "1.2.3.4"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("%q is %v", text, v)
		}
	}
}

func FuzzServiceState(f *testing.F) {
	f.Add("Error(Exited(Pid(1), 3))")
	f.Fuzz(func(t *testing.T, text string) {
		var s, again ServiceState
		if s.UnmarshalText([]byte(text)) == nil && (again.UnmarshalText([]byte(s.String())) != nil || again != s) {
			t.Fatalf("%q is %q, and that %q", text, s.String(), again.String())
		}
	})
}

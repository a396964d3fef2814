package server

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock/legacy"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// command sends one line to the server, as clients of zinit 0.2 do, and returns all
// that comes.
func (h *house) command(line string) string {
	h.t.Helper()
	l := h.dial()
	if _, err := l.c.Write([]byte(line + "\n")); err != nil {
		h.t.Fatal(err)
	}
	reply, err := io.ReadAll(l.in)
	if err != nil {
		h.t.Fatalf("%s: %v", line, err)
	}
	return string(reply)
}

// answers checks the reply to a line.
func (h *house) answers(line, want string) {
	h.t.Helper()
	if got := h.command(line); got != want {
		h.t.Errorf("%s: %s\nwant %s", line, got, want)
	}
}

const (
	nothing = `{"state":"ok","body":null}`
	noSuch  = `{"state":"error","body":"service name \"nosuch\" unknown"}`
)

func TestClientsOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{
		"redis.yaml": "exec: /play\nafter:\n  - setup\n",
		"setup.yaml": "exec: /play exit=0\noneshot: true\n",
		"bad.yaml":   "exec: /play\noneshot: yes\n",
		"fails.yaml": "exec: /play exit=3\noneshot: true\n",
		"lost.yaml":  "exec: /refused\n",
		"late.yaml":  "exec: /play\nafter: [nosuch]\n",
	})
	h.wait("redis", "running")
	h.wait("setup", "exited")
	h.wait("fails lost", "failed")
	pid := h.s.sup.Snapshot().Find("redis").Pid
	failed := h.s.sup.Snapshot().Find("fails").LastPid
	h.answers("list", `{"state":"ok","body":{"fails":"`+legacy.Exited(failed, 3)+`","late":"Blocked","lost":"Failure","redis":"Running","setup":"Success"}}`)
	h.answers("status redis", `{"state":"ok","body":{"after":{"setup":"Success"},"name":"redis","pid":`+strconv.Itoa(pid)+`,"state":"Running","target":"Up"}}`)
	h.answers("status late", `{"state":"ok","body":{"after":{"nosuch":"Unknown"},"name":"late","pid":0,"state":"Blocked","target":"Up"}}`)
	for _, line := range []string{"status nosuch", "start nosuch", "stop nosuch", "forget nosuch", "kill nosuch SIGTERM"} {
		h.answers(line, noSuch)
	}
	h.answers("start redis", nothing)
	h.answers("start late", nothing)
	h.answers("monitor redis", `{"state":"error","body":"service \"redis\" already monitored"}`)
	h.answers("forget redis", `{"state":"error","body":"service \"redis\" is up"}`)
	h.answers("kill setup SIGTERM", `{"state":"error","body":"service \"setup\" is down"}`)
	h.answers("kill redis TERM", `{"state":"error","body":"EINVAL: Invalid argument"}`)
	h.answers("kill nosuch 15", `{"state":"error","body":"EINVAL: Invalid argument"}`)
	h.answers("", `{"state":"error","body":"unknown command"}`)

	// It is down at once as far as anybody wants, and then it is.
	h.answers("stop redis", nothing)
	if st := h.command("status redis"); !strings.Contains(st, `"target":"Down"`) {
		t.Error(st)
	}
	h.wait("redis", "down")
	h.answers("status redis", `{"state":"ok","body":{"after":{"setup":"Success"},"name":"redis","pid":0,"state":"`+legacy.Signaled(pid, "SIGTERM")+`","target":"Down"}}`)
	h.answers("kill redis SIGTERM", `{"state":"error","body":"service \"redis\" is down"}`)
	h.answers("start redis", nothing)
	h.wait("redis", "running")
}

func TestTheEndOverTheLineProtocol(t *testing.T) {
	h := emptyHouse(t)
	told := make(chan syscall.Signal, 2)
	h.s.tellInit = func(sig syscall.Signal) error { told <- sig; return nil }
	mkdir(t, h.s.dirs.User)
	h.write("deaf.yaml", "exec: /play deaf\n")
	h.open(h.s.firstConfig())
	h.wait("deaf", "running")
	h.answers("reboot and more words", nothing)
	if sig := <-told; sig != syscall.SIGINT {
		t.Errorf("a reboot is signal %d to process 1", sig)
	}
	h.answers("kill deaf SIGHUP", nothing)
	h.answers("shutdown and more words", nothing) // it does not wait for who is deaf
	eventually(t, "the end has begun", func() (string, bool) { return "", h.s.sup.Snapshot().Draining })
	h.write("late.yaml", "exec: /play\n")
	const ending = `{"state":"error","body":"zinit is shutting down"}`
	h.answers("start deaf", ending)
	h.answers("monitor late", ending)
	h.answers("monitor deaf", `{"state":"error","body":"service \"deaf\" already monitored"}`)
	h.answers("start nosuch", noSuch)
	if st := h.command("status deaf"); !strings.Contains(st, `"state":"Running"`) {
		t.Error(st)
	}
}

func TestMonitorAndForget(t *testing.T) {
	h := newStoredHouse(t, map[string]string{"web.yaml": "exec: /play\n"})
	h.wait("web", "running")
	volatile := filepath.Join(t.TempDir(), "target")
	link := filepath.Join(h.s.dirs.User, "nnc-1.yaml")
	if err := os.Symlink(volatile, link); err != nil {
		t.Fatal(err)
	}
	const noConfig = `{"state":"error","body":"failed to load service config"}`
	h.answers("monitor nnc-1", noConfig)
	h.answers("monitor ../web", noConfig)
	h.answers("monitor 'a b'", noConfig)
	write(t, filepath.Dir(volatile), map[string]string{"target": "exec: /play\n"})
	h.answers("monitor nnc-1", nothing)
	h.wait("nnc-1", "running")

	// What was forgotten has a file, but is not read again.
	h.answers("stop web", nothing)
	h.wait("web", "down")
	h.answers("forget web", nothing)
	h.answers("status web", `{"state":"error","body":"service name \"web\" unknown"}`)
	reload := `{"jsonrpc":"2.0","id":1,"method":"service.reload"}`
	if reply := h.dial().ask(reload); strings.Contains(reply, "web") || h.names() != "nnc-1" {
		t.Errorf("%s: %s", h.names(), reply)
	}
	if got := readForgotten(h.s.at); len(got) != 1 || got[0] != "web" {
		t.Errorf("the next server reads %q", got)
	}
	// The link leads nowhere any more: what runs goes on.
	if err := os.Remove(volatile); err != nil {
		t.Fatal(err)
	}
	h.dial().ask(reload)
	h.wait("nnc-1", "running")
	write(t, h.s.dirs.User, map[string]string{"web.yaml": "exec: /play again\n"})
	h.answers("monitor web", nothing)
	h.wait("web", "running")
	if v := h.s.sup.Snapshot().Find("web"); v.Config.Exec != "/play again" || len(readForgotten(h.s.at)) != 0 {
		t.Errorf("it is %s", v.Config.Exec)
	}
	// A file that was wrong at the start may be right by now.
	write(t, h.s.dirs.User, map[string]string{"bad.yaml": "exec: /play\noneshot: 1\n", "other.toml": service("another")})
	h.dial().ask(reload)
	h.answers("status bad", `{"state":"error","body":"service name \"bad\" unknown"}`)
	h.answers("monitor bad", noConfig)
	h.answers("monitor other", noConfig)
	write(t, h.s.dirs.User, map[string]string{"bad.yaml": "exec: /play\n"})
	h.answers("monitor bad", nothing)
	h.wait("bad", "running")
}

func TestTheLogOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{
		"a.yaml":     "exec: /play say=one,two, cry=three,\n",
		"quiet.yaml": "exec: /play say=hidden,\nlog: stdout\n",
	})
	h.wait("a quiet", "running")
	want := "[-] a: ------------ [start] ------------\n"
	deadline := time.Now().Add(patience)
	text := ""
	for !strings.Contains(text, "three") && time.Now().Before(deadline) {
		text = h.command("log snapshot")
	}
	if !strings.HasPrefix(text, want) || !strings.Contains(text, "[+] a: one\n[+] a: two\n") || !strings.Contains(text, "[-] a: three\n") || strings.Contains(text, "quiet") {
		t.Errorf("%s", text)
	}
	l := h.dial()
	if _, err := l.c.Write([]byte("log\n")); err != nil {
		t.Fatal(err)
	}
	marks := 0
	for marks < 2 {
		line, err := l.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == want {
			if marks++; marks == 1 {
				h.answers("kill a SIGTERM", nothing) // it comes back, and says so
			}
		}
	}
}

// What a test prints is in the log of all, behind a name of its own, and in none of a
// service.
func TestTheOutputOfATestOfZinit02(t *testing.T) {
	h := newStoredHouse(t, map[string]string{
		"a.yaml":     "exec: /play say=up,\ntest: /play say=works, cry=hm, exit=0\n",
		"quiet.yaml": "exec: /play say=hidden,\ntest: /play say=hidden, exit=0\nlog: stdout\n",
		"mute.yaml":  "exec: /play\ntest: /play say=hidden, exit=0\nlog: none\n",
		"lost.yaml":  "exec: /play\ntest: /refused\n",
	})
	h.wait("a quiet mute", "running")
	text := ""
	eventually(t, "what the test printed", func() (string, bool) {
		text = h.command("log snapshot")
		return text, strings.Contains(text, "works") && strings.Contains(text, "hm") && strings.Contains(text, "[+] a: up\n")
	})
	for _, line := range []string{"[-] a/test: ------------ [start] ------------\n", "[+] a/test: works\n", "[-] a/test: hm\n", "[-] lost/test: ------------ [start] ------------\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("there is no %q in\n%s", line, text)
		}
	}
	if strings.Contains(text, "hidden") {
		t.Error(text)
	}
	ask := func(method, params string) string {
		return h.dial().ask(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + params + `}`)
	}
	if reply := ask("stream_currentLogs", `["a"]`); strings.Contains(reply, "works") {
		t.Errorf("it is in the log of the service: %s", reply)
	}
	if reply := ask("stream_currentLogs", `[]`); !strings.Contains(reply, "[+] a/test: works") {
		t.Error(reply)
	}
	if reply := ask("logs.tail", `{"name":"a/test"}`); !strings.Contains(reply, `"content":"works"`) {
		t.Error(reply)
	}
	for _, name := range []string{"a/health", "b/test", "/test", "a/test/test"} {
		if reply := ask("logs.tail", `{"name":"`+name+`"}`); !strings.Contains(reply, `"error"`) {
			t.Errorf("%s: %s", name, reply)
		}
	}
	// Who follows hears the test of a service that comes later.
	l := h.dial()
	if _, err := l.c.Write([]byte("log\n")); err != nil {
		t.Fatal(err)
	}
	h.write("late.yaml", "exec: /play\ntest: /play say=late, exit=0\n")
	h.answers("monitor late", nothing)
	for {
		line, err := l.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "[+] late/test: late\n" {
			break
		}
	}
	h.answers("stop late", nothing)
	h.wait("late", "down")
	h.answers("forget late", nothing)
	eventually(t, "the log of the test is gone, too", func() (string, bool) { return "", !h.s.logs.Has("late/test") })
}

func TestStatesInTheWordsOfZinit02(t *testing.T) {
	for _, c := range []struct {
		state machine.State
		want  string
	}{
		{machine.Inactive{}, "Blocked"},
		{machine.Blocked{}, "Blocked"},
		{machine.Starting{}, "Spawned"},
		{machine.Running{}, "Running"},
		{machine.Running{Gone: true}, "Success"},
		{machine.Stopping{}, "Running"},
		{machine.Exited{}, "Success"},
		{machine.Exited{Outcome: machine.Outcome{Unknown: true}}, "Success"},
		{machine.Exited{Outcome: machine.Outcome{Signal: 9}}, "Error(Signaled(Pid(7), SIGKILL, false))"},
		{machine.Failed{Why: machine.Cause{Outcome: machine.Outcome{Code: 3}}}, "Error(Exited(Pid(7), 3))"},
		{machine.Failed{Why: machine.Cause{Kind: machine.SpawnError}}, "Failure"},
		{machine.Failed{Why: machine.Cause{Kind: machine.StartTimeout}}, "Failure"},
		{machine.Failed{Why: machine.Cause{Kind: machine.MissingDependency}}, "Blocked"},
		{machine.Failed{Why: machine.Cause{Kind: machine.Requirement}}, "Blocked"},
		{machine.Failed{Why: machine.Cause{Kind: machine.Unsatisfiable}}, "Blocked"},
	} {
		if got := legacyState(&supervise.View{State: c.state, LastPid: 7, Config: &config.Service{}}); got != c.want {
			t.Errorf("%T: %s, want %s", c.state, got, c.want)
		}
	}
}

//go:build compat

package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The programs of zinit 0.3.9 against ours, both ways round: ./build.sh compat. What
// they say to each other is also in testdata/wire/original, which every test run
// plays without them.

// original is the directory of zinit 0.3.9.
func original(t *testing.T) string {
	t.Helper()
	dir, err := findPeer()
	if err != nil {
		t.Fatal(err)
	}
	if dir == "" {
		t.Fatal("zinit 0.3.9 is not there: name the directory of its programs in ZINIT_PEER")
	}
	// Its command line looks there first, and takes no other socket.
	if _, err := os.Stat("/run/zinit.sock"); err == nil {
		t.Fatal("/run/zinit.sock exists: the original command line would talk to that server")
	}
	return dir
}

// A compatStep is one command line of either and what it has to say: a regular
// expression for stdout and stderr together, and the exit code.
type compatStep struct {
	args string
	code int
	want string
}

// play runs the steps in order.
func play(t *testing.T, run func(args ...string) (string, int), steps []compatStep) {
	t.Helper()
	for _, s := range steps {
		out, code := run(strings.Fields(s.args)...)
		if code != s.code {
			t.Errorf("%s: exit code %d, want %d\n%s", s.args, code, s.code, out)
			continue
		}
		if !regexp.MustCompile(`(?s)^(?:` + s.want + `)$`).MatchString(out) {
			t.Errorf("%s: printed\n%s\nwant %s", s.args, out, s.want)
		}
	}
}

var compatFiles = map[string]string{
	"db":    "[service]\nname = \"db\"\nexec = \"sleep 1001\"\n",
	"web":   "[service]\nname = \"web\"\nexec = \"sleep 1002\"\n[dependencies]\nrequires = [\"db\"]\n",
	"off":   "[service]\nname = \"off\"\nexec = \"sleep 1003\"\nstatus = \"stop\"\n",
	"bad":   "[service]\nname = \"bad\"\nexec = \"sh -c 'echo hello; exit 3'\"\n[lifecycle]\nrestart = \"never\"\n",
	"clash": "[service]\nname = \"clash\"\nexec = \"sleep 1004\"\nstatus = \"stop\"\n[dependencies]\nconflicts = [\"db\"]\n",
	"all":   "[target]\nname = \"all\"\n[dependencies]\nrequires = [\"web\"]\n",
}

func TestCompatOriginalCommandLineWithOurServer(t *testing.T) {
	peer := original(t)
	in := newInstance(t, compatFiles)
	in.socket = filepath.Join(in.dir, "hero", "var", "zinit.sock")
	in.launch()
	in.waitState("web all", "running")
	in.waitState("bad", "failed")
	run := func(args ...string) (string, int) {
		cmd := exec.Command(filepath.Join(peer, "zinit"), args...)
		cmd.Env = append(in.env, "HOME="+in.dir)
		cmd.Dir = in.dir
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	in.write("extra.txt", "[service]\nname = \"extra\"\nexec = \"sleep 1005\"\n")
	play(t, run, []compatStep{
		{"ping", 0, `zinit daemon v0\.\d+\.\d+ is running\n`},
		{"list", 0, `(● all +Running\n|✗ bad +Failed\n|○ clash +Inactive\n|● db +Running \(pid: \d+\)\n|○ off +Inactive\n|● web +Running \(pid: \d+\)\n){6}`},
		{"ls", 0, `.*● web +Running \(pid: \d+\)\n.*`},
		{"status web", 0, `Service: web\nState:   ● Running\nPID:     \d+\n`},
		{"status bad", 0, `Service: bad\nState:   ✗ Failed\nExit:    3\n.*`},
		{"status nosuch", 1, `Error: service not found\n`},
		{"logs bad", 0, `\d+ \[stdout\] hello\n.*`},
		{"logs bad -n 1", 0, `\d+ \[\w+\] [^\n]+\n`},
		{"logs off", 0, `No logs available for off\n`},
		{"logs nosuch", 1, `Error: service not found\n`},
		{"why web", 0, `web is not blocked\n`},
		{"tree", 0, `.*├─ \[\+\] web \(running\)\n│    └─ requires db \(running\)\n.*`},
		{"start off", 0, `.*Started: off\n`},
		{"status off", 0, `Service: off\nState:   ● Running\nPID:     \d+\n`},
		{"start clash", 1, `Error: .*conflicts with db.*`},
		{"start nosuch", 1, `Error: service not found: nosuch\n`},
		{"kill off -s HUP", 0, `.*Sent (SIG)?HUP to: off\n`},
		{"kill off --signal BOGUS", 1, `Error: signal error.*unknown signal\n`},
		{"kill all", 1, `Error: .*target.*`},
		{"stop web", 0, `.*Stopped: web\n`},
		{"start web", 0, `.*Started: web\n.*`},
		{"restart web", 0, `.*Restarted: web\n`},
		{"stop db", 0, `.*Stopped: db\n`},
		{"why web", 0, `\[\?\] web \(blocked\)\n.*-> waiting on db \(\w+\)\n.*Waiting on: db\n|\[!\] web.*|web is not blocked\n`},
		{"start web --tree", 0, `.*(Started|Waiting): web\n.*`},
		{"add-service " + filepath.Join(in.config, "extra.txt"), 0, `.*Service 'extra' added \(saved to .*extra\.toml\)\n`},
		{"status extra", 0, `.*● Running.*`},
		{"add-service --name quick --exec true --oneshot --after extra --env A=1", 0, `.*Service 'quick' added.*`},
		{"add-service --name quick --exec /no/such/program", 1, `Error: Executable not found: /no/such/program\n`},
		{"add-service --name quick --exec true --requires nosuch", 1, `Error: Dependency 'nosuch' not found\n`},
		{"add-service --name b@d --exec true", 1, `Error: Validation failed\n`},
		{"debug-state", 0, `=== Service Graph State ===\n.*\[\+\] web - (Running|Starting).*`},
		{"debug-procs db", 0, `db \(pid=\d+\)\n.*no child processes.*`},
	})
	in.waitState("quick", "exited")
	play(t, run, []compatStep{
		{"debug-procs quick", 0, `quick is not running\n`},
		{"remove quick", 0, `.*Removed: quick\n`},
		{"remove extra", 0, `.*Removed: extra\n`},
		{"remove db", 1, `Error: .*web.*`},
		{"xinet list", 0, `No xinet proxies registered\n`},
		{"shutdown", 0, `.*zinit daemon stopped\n`},
	})
	<-in.ended
}

func TestCompatOurCommandLineWithTheOriginalServer(t *testing.T) {
	peer := original(t)
	in := newInstance(t, compatFiles)
	server := exec.Command(filepath.Join(peer, "zinit-server"), "-c", in.config, "-s", in.socket)
	server.Env, server.Dir = append(in.env, "HOME="+in.dir), in.dir
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer func() {
		if t.Failed() {
			t.Logf("the server said\n%s", log.String())
		}
	}()
	defer server.Process.Kill()
	in.must("ping", "--timeout", "10s")
	in.until("services", func() (string, bool) {
		out, _ := in.zinit("list")
		return out, strings.Contains(out, "✗ bad") && strings.Count(out, "●") >= 3
	})
	in.write("extra.txt", "[service]\nname = \"extra\"\nexec = \"sleep 1005\"\n")
	play(t, in.zinit, []compatStep{
		{"ping", 0, `zinit daemon v0\.3\.9 is running\n`},
		{"list", 0, `.*● web +Running \(pid: \d+\).*`},
		{"list --json", 0, `\[.*"name":\s*"web".*\]\n`},
		{"status web", 0, `.*web.*● Running.*\d+.*`},
		{"status nosuch", 4, `Error: .*service not found.*`},
		{"logs bad", 0, `\d+ \[stdout\] hello\n.*`},
		{"why web", 0, `web is not blocked\n`},
		{"tree", 0, `.*web \(running\).*`},
		{"start off", 0, `Started: off\n`},
		{"stop off", 0, `Stopped: off\n`},
		{"restart web", 0, `Restarted: web\n`},
		{"kill db HUP", 0, `Sent SIGHUP to: db\n`},
		{"start nosuch", 4, `Error: .*service not found.*`},
		{"add-service " + filepath.Join(in.config, "extra.txt"), 0, `.*Service 'extra' added \(saved to .*extra\.toml\)\n`},
		{"add-service --name worse --exec /no/such/program", 1, `Error: .*Executable not found: /no/such/program.*`},
		{"debug-state", 0, `=== Service Graph State ===\n.*`},
		{"debug-procs db", 0, `db (\(pid=\d+\)|is not running).*`},
		{"remove extra", 0, `Removed: extra\n`},
		// What the original does not have is refused in words that say so.
		{"events", 1, `Error: .*`},
		{"reload", 1, `Error: .*`},
		{"stop-all", 1, `Error: .*`},
		{"shutdown", 0, `.*zinit daemon stopped\n`},
	})
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the original server goes on")
	}
}

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// startInit has the instance be "start init" with this start.toml, whose runtime
// directory is run.
func (in *instance) startInit(global string) {
	in.t.Helper()
	if err := os.WriteFile(in.path("start.toml"), []byte(global), 0o644); err != nil {
		in.t.Fatal(err)
	}
	in.env = append(in.env, "ZINIT_START_FILE="+in.path("start.toml"))
	in.socket = in.path("run/zinit.sock")
	program := filepath.Join(binDir(in.t), "zinit")
	in.alter = func(cmd *exec.Cmd) { cmd.Path, cmd.Args = program, []string{"start", "init"} }
}

// TestTheProgramStart is the server and the command line of sideros-start, with what
// its global file says.
func TestTheProgramStart(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"web": "[service]\nname = \"web\"\nexec = \"sleep 1000\"\n[service.dependencies]\nrequires = [\"network.target\"]\n",
		"bad": "[service]\nname = \"bad\"\nexec = \"false\"\n[service.restart]\npolicy = \"no\"\n",
		"off": "[service]\nname = \"off\"\nexec = \"false\"\n[service.restart]\npolicy = \"on-failure\"\ndelay = \"1h\"\n",
	})
	global := "[init]\nhostname = \"sideros\"\nservices_dir = \"" + in.config + "\"\nruntime_dir = \"" + in.path("run") + "\"\n" +
		"[logging]\nlevel = \"info\"\noutput = \"file:" + in.path("log") + "\"\n" +
		"[defaults]\nstop_timeout = \"33s\"\n"
	in.startInit(global)
	in.spawn()
	in.must("wait", "web", "--timeout", "30s")
	start := in.siderosStart
	states := func(want string) {
		t.Helper()
		in.until("start list", func() (string, bool) {
			out := start(0, "list")
			var got []string
			for line := range strings.Lines(out) {
				words := strings.Fields(line)
				got = append(got, words[0]+" "+words[1])
			}
			return out, strings.Join(got, ", ") == want
		})
	}
	states("bad failed, off restarting, web active")
	start(0, "stop", "web")
	states("bad failed, off restarting, web inactive")
	start(0, "start", "web")
	start(0, "restart", "web")
	if out := start(4, "status", "nobody"); !strings.Contains(out, "service not found: nobody") {
		t.Error(out)
	}
	start(0, "new", "talker", "sh -c 'echo said; exec sleep 1000'", "-o", in.path("said"))
	in.until("what the new one said", func() (string, bool) {
		text, err := os.ReadFile(in.path("said"))
		return string(text), err == nil && strings.Contains(string(text), "said")
	})
	start(1, "new", "talker", "true")
	in.mayTake("web", 30000, 33000)
	in.mayTake("talker", 30000, 33000)

	server := in.serverPID()
	// By this zinit upgrade knows which signal replaces it.
	if line, err := os.ReadFile("/proc/" + strconv.Itoa(server) + "/cmdline"); err != nil || !strings.Contains(string(line), "\x00--report-on-usr1\x00") {
		t.Errorf("%q %v", line, err)
	}
	logged := func(text string) {
		t.Helper()
		in.until(text+" in the log", func() (string, bool) {
			log, _ := os.ReadFile(in.path("log")) // it may not be there yet
			return string(log), strings.Contains(string(log), text)
		})
	}
	signal := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(in.keeperPID(), sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGUSR1)
	logged("service=talker")
	if err := os.WriteFile(in.path("start.toml"), []byte(strings.Replace(global, "33s", "44s", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGHUP)
	logged("reloaded")
	in.mayTake("web", 30000, 44000)
	if in.serverPID() != server {
		t.Error("the server is another one")
	}
	signal(34 + 9)
	in.another(server)
	start(0, "shutdown")
	if code := in.exit(); code != 0 {
		t.Errorf("code %d", code)
	}
}

// siderosStart runs the command line of sideros-start and returns what it printed; its
// exit code has to be this one.
func (in *instance) siderosStart(want int, words ...string) string {
	in.t.Helper()
	cmd := &exec.Cmd{Path: filepath.Join(binDir(in.t), "zinit"), Args: append([]string{"start"}, words...), Env: in.env}
	out, _ := cmd.CombinedOutput() // its code tells
	if code := cmd.ProcessState.ExitCode(); code != want {
		in.t.Fatalf("start %s: exit code %d, want %d\n%s", strings.Join(words, " "), code, want, out)
	}
	return string(out)
}

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFilesOfZinit02Run: after waits for a test that passes and for a oneshot, the
// command line is not for a shell, and what ends well comes back.
func TestFilesOfZinit02Run(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	script(t, in.path("works"), "echo \"$*|$MODE|$PWD\"; exec sleep 1000")
	in.write("db.yaml", "exec: "+in.path("works")+" $HOME '*  *'\nenv: {MODE: 5}\ntest: sh -c 'echo looking; test -e "+in.path("ready")+"'\n")
	in.write("once.yaml", "exec: sh -c 'exit 0'\noneshot: true\nlog: none\n")
	in.write("web.yaml", "exec: sleep 1000\nafter:\n- db\n- once\n- toml\n")
	in.write("late.yaml", "exec: sleep 1000\nafter: [nobody]\n")
	in.write("lost.yaml", "exec: "+in.path("lost")+"\n")
	in.write("bad.yaml", "exec: sleep 1\noneshot: yes\n")
	in.write("toml.toml", "[service]\nname = \"toml\"\nexec = \"sleep 1000\"\n[dependencies]\nrequires = [\"once\"]\n")
	in.launch()
	in.must("wait", "toml", "--timeout", "30s")
	in.waitState("db", "starting")
	in.waitState("web", "blocked")
	if out := in.must("why", "late"); !strings.Contains(out, "waiting on nobody") {
		t.Error(out)
	}
	if out, code := in.zinit("check", in.config); code != 1 || !strings.Contains(out, "bad.yaml:2: oneshot: must be true or false, not 'yes'") {
		t.Error(code, out)
	}
	in.until("what the test printed", func() (string, bool) {
		out := in.must("log", "-s")
		return out, strings.Contains(out, "[-] db/test: ------------ [start] ------------\n[+] db/test: looking\n")
	})
	if out := in.must("log", "-s", "db"); strings.Contains(out, "looking") {
		t.Errorf("what the test printed is in the log of the service:\n%s", out)
	}
	if err := os.WriteFile(in.path("ready"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	in.must("wait", "db", "web", "--timeout", "30s")
	in.until("what the service got", func() (string, bool) {
		out := in.must("logs", "db")
		return out, strings.Contains(out, "[stdout] $HOME *  *|5|/\n")
	})
	in.must("stop", "db", "--wait")
	in.waitState("web", "running") // nothing stops with what it waited for
	// What cannot be executed waits for somebody to mend it.
	in.waitState("lost", "failed")
	if out := in.must("status", "lost", "--legacy"); !strings.Contains(out, "state: Failure\ntarget: Up\n") {
		t.Error(out)
	}
	if out := in.must("list"); strings.Contains(out, "restarts in") {
		t.Errorf("it is tried again:\n%s", out)
	}
	script(t, in.path("lost"), "exec sleep 1000")
	in.must("start", "lost", "--wait")
}

// TestTheCommandLineOfZinit02Runs as scripts for it have it.
func TestTheCommandLineOfZinit02Runs(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"redis.yaml": "exec: sh -c 'echo ready; exec sleep 1000'\nafter: [once]\n", "once.yaml": "exec: sh -c 'exit 0'\noneshot: true\n"})
	program := filepath.Join(binDir(t), "zinit")
	in.alter = func(cmd *exec.Cmd) {
		cmd.Path, cmd.Args = program, []string{"zinit", "-d", "init", "-c", in.config, "-b", "100", "-s", in.socket}
	}
	in.launch()
	in.must("wait", "redis", "--timeout", "30s")
	if out := in.must("list", "--legacy"); out != "---\nonce: Success\nredis: Running\n" {
		t.Error(out)
	}
	if out := in.must("status", "redis", "--legacy"); !strings.HasSuffix(out, "state: Running\ntarget: Up\nafter:\n  once: Success\n") {
		t.Error(out)
	}
	if out, code := in.zinit("monitor", "redis"); code != 1 || !strings.Contains(out, `service "redis" already monitored`) {
		t.Error(code, out)
	}
	if out, code := in.zinit("monitor", "nosuch"); code != 1 || !strings.Contains(out, "failed to load service config: there is no file of nosuch, or it is wrong: zinit check tells") {
		t.Error(code, out)
	}
	if out := in.must("-V"); !strings.HasPrefix(out, "zinit ") || len(strings.Split(out, " ")) != 2 {
		t.Errorf("the version is %q", out)
	}
	in.until("what it printed", func() (string, bool) {
		out := in.must("log", "-s", "redis")
		return out, out == "[-] redis: ------------ [start] ------------\n[+] redis: ready\n"
	})
	in.must("stop", "redis", "--wait")
	in.must("forget", "redis")
	in.must("reload")
	if out := in.must("list", "--legacy"); out != "---\nonce: Success\n" {
		t.Error(out)
	}
	in.must("monitor", "redis")
	in.must("wait", "redis", "--timeout", "30s")
}

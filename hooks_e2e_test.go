package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestWhatHooksLeaveBehindIsEnded before the service is at rest, also where there was
// no main process; unless it shall live on.
func TestWhatHooksLeaveBehindIsEnded(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	// It returns when a process in a session of its own is there.
	script(t, in.path("leave"), `before=$(wc -l <"$1")
setsid sh -c 'echo $$ >>"$0"; exec sleep 1000' "$1" </dev/null >/dev/null 2>&1 &
until [ "$(wc -l <"$1")" -gt "$before" ]; do sleep 0.01; done`)
	leave := func(name string) string { return in.path("leave") + " " + in.path(name+".pids") }
	services := map[string][]string{
		"failing": {`exec_start_pre = [ "` + leave("failing") + `", "false" ]`},
		"missing": {`exec_start_pre = "` + leave("missing") + `"`},
		"post":    {`exec_stop_post = "` + leave("post") + `"`},
		"stays":   {`exec_stop_post = "` + leave("stays") + `"`, lifecycle, `kill_mode = "process"`},
	}
	for name, lines := range services {
		exec := acts(t, "serve")
		if name == "missing" {
			exec = "/nothing/here"
		}
		if !slices.Contains(lines, lifecycle) {
			lines = append(lines, lifecycle)
		}
		in.cue(name + ".pids")
		in.write(name, file(name, exec, append(lines, `restart = "never"`)...))
	}
	in.launch()
	in.waitState("post stays", "running")
	if dir := cgroupOf(t, in.pid("post")); filepath.Base(dir) != "post.svc" {
		t.Skipf("services have no cgroups here: %q", dir)
	}
	in.waitState("failing missing", "failed")
	left := func(name string, times, want int) {
		t.Helper()
		text, err := os.ReadFile(in.path(name + ".pids"))
		pids := strings.Fields(string(text))
		if err != nil || len(pids) != times {
			t.Fatalf("%s: of %d hooks have left %q: %v", name, times, text, err)
		}
		lives := 0
		for _, word := range pids {
			pid, _ := strconv.Atoi(word)
			if p, ok := processOf(pid); ok && p.state != "Z" && p.state != "X" {
				lives++
			}
		}
		if lives != want {
			t.Errorf("%s: of %v live %d, not %d: %+v", name, pids, lives, want, in.status(name))
		}
	}
	left("failing", 1, 0)
	left("missing", 1, 0)
	in.must("stop", "post")
	in.waitState("post", "exited")
	left("post", 1, 0)
	// It can be born there again.
	in.must("start", "post")
	in.waitState("post", "running")
	in.must("stop", "post")
	in.waitState("post", "exited")
	left("post", 2, 0)
	in.must("stop", "stays")
	in.waitState("stays", "exited")
	left("stays", 1, 1)
}

package machine

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/machine")

const testdata = "../../testdata/machine"

// golden compares text with a file, or rewrites the file.
func golden(t *testing.T, file, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text == string(want) {
		return
	}
	was, is := strings.Split(string(want), "\n"), strings.Split(text, "\n")
	for n := range max(len(was), len(is)) {
		var a, b string
		if n < len(was) {
			a = was[n]
		}
		if n < len(is) {
			b = is[n]
		}
		if a != b {
			t.Fatalf("%s:%d:\n want %q\n  got %q\nif this is meant: go test ./supervise/machine -update, and review the difference", file, n+1, a, b)
		}
	}
}

// A variant is a state with one of its shades.
type variant struct {
	name string
	make func() *live
}

var variants = []variant{
	{"inactive, never wanted", func() *live { return begin(plain()) }},
	{"inactive, allowed", func() *live { l := begin(plain()); l.give(DepsMet{}); return l }},
	{"blocked", func() *live { l := begin(plain()); l.give(Wanted{}, DepsHeld{On: "db"}); return l }},
	{"starting, spawn under way", func() *live { l := begin(plain()); l.give(Wanted{}, DepsMet{}); return l }},
	{"starting, up, probe due", func() *live {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		return l
	}},
	{"starting, at its time limit", func() *live {
		l := begin(plain(checked))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1}, Ticked{})
		l.now = at(30 * time.Second)
		return l
	}},
	{"running", func() *live { return begin(plain()).up() }},
	{"running, probe due", func() *live { l := begin(plain(checked)).up(); l.now = at(time.Second); return l }},
	{"running, two probes failed", func() *live {
		l := begin(plain(checked)).up()
		for range 2 {
			l.after(time.Second)
			l.give(Probed{Run: 1, Err: "refused"})
		}
		return l
	}},
	{"running target", func() *live { return begin(plain(target)).up() }},
	{"stopping as asked", func() *live { l := begin(plain()).up(); l.give(Dropped{}); return l }},
	{"stopping, wanted again", func() *live { l := begin(plain()).up(); l.give(Dropped{}, Wanted{}); return l }},
	{"stopping for a restart", func() *live { l := begin(plain()).up(); l.give(Restarted{}); return l }},
	{"stopping with what it requires", func() *live { l := begin(plain()).up(); l.give(DepsLost{On: "db"}); return l }},
	{"stopping, kill due", func() *live { l := begin(plain()).up(); l.give(Dropped{}); l.now = at(2 * time.Second); return l }},
	{"stopping, stuck", func() *live { l := begin(plain()).up(); l.give(Dropped{}); l.after(8 * time.Second); return l }},
	{"stopping, group lingers", func() *live {
		l := begin(plain()).up()
		l.give(ProcessGone{Run: 1, Outcome: Outcome{Code: 3}, Lingers: true})
		return l
	}},
	{"stopping, unhealthy", func() *live {
		l := begin(plain(checked, func(r *Rules) { r.Health.Retries = 1 })).up()
		l.after(time.Second)
		l.give(Probed{Run: 1, Err: "refused"})
		return l
	}},
	{"starting, exec_start_pre runs", func() *live { l := begin(plain(hooked)); l.give(Wanted{}, DepsMet{}); return l }},
	{"starting, prepared, and then held", func() *live {
		l := begin(plain(hooked))
		l.give(Wanted{}, DepsMet{}, DepsHeld{On: "db"}, HooksDone{Run: 1, Hook: ExecStartPre})
		return l
	}},
	{"starting, of notify, not ready", func() *live {
		l := begin(plain(notify))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1})
		return l
	}},
	{"starting, of forking, its main process is looked for", func() *live {
		l := begin(plain(forking))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1}, ProcessGone{Run: 1, Lingers: true})
		return l
	}},
	{"starting, exec_start_post runs", func() *live {
		l := begin(plain(hooked))
		l.give(Wanted{}, DepsMet{}, HooksDone{Run: 1, Hook: ExecStartPre}, Spawned{Run: 1})
		return l
	}},
	{"running, of notify, with watchdog", func() *live { return begin(plain(notify)).up() }},
	{"running, with hooks, exec_reload runs", func() *live { l := begin(plain(hooked)).up(); l.give(ReloadAsked{}); return l }},
	{"running oneshot, its work is done", func() *live { l := begin(plain(remain)).up(); l.ends(0); return l }},
	{"stopping, exec_stop runs", func() *live { l := begin(plain(hooked)).up(); l.give(Dropped{}); return l }},
	{"stopping, exec_stop_post runs", func() *live { l := begin(plain(hooked)).up(); l.ends(3); return l }},
	{"stopping, what hooks left is ended", func() *live {
		l := begin(plain(hooked, func(r *Rules) { r.KillScope = Cgroup })).up()
		l.ends(3)
		l.hookEnds("")
		return l
	}},
	{"stopping, of forking, its main process is looked for", func() *live {
		l := begin(plain(forking))
		l.give(Wanted{}, DepsMet{}, Spawned{Run: 1}, ProcessGone{Run: 1}, Dropped{})
		return l
	}},
	{"exited as asked", func() *live { l := begin(plain()).up(); l.give(Dropped{}); l.ends(0); return l }},
	{"exited, restart pending", func() *live {
		l := begin(plain(func(r *Rules) { r.Policy = Always })).up()
		l.ends(0)
		return l
	}},
	{"exited oneshot", func() *live { l := begin(plain(oneshot)).up(); l.ends(0); return l }},
	{"failed, restart pending", func() *live { l := begin(plain()).up(); l.ends(3); return l }},
	{"failed, restart due", func() *live { l := begin(plain()).up(); l.ends(3); l.now = at(200 * time.Millisecond); return l }},
	{"failed, given up", func() *live {
		l := begin(plain(func(r *Rules) { r.MaxRestarts = 1 })).up()
		l.ends(3)
		l.after(time.Second)
		l.give(Spawned{Run: 2})
		l.ends(3)
		return l
	}},
	{"failed, broken", func() *live {
		l := begin(plain())
		l.give(Wanted{}, Broken{Why: Cause{Kind: MissingDependency, Name: "db"}})
		return l
	}},
}

// matrixEvents is every event, those of a run for the living one and for one that
// is over.
func matrixEvents(run Run, hook Hook, rules *Rules) []struct {
	name string
	ev   Event
} {
	type row = struct {
		name string
		ev   Event
	}
	unchecked, withCheck := *rules, *rules
	unchecked.Health, withCheck.Health = nil, plain(checked).Health
	return []row{
		{"Wanted", Wanted{}},
		{"Dropped", Dropped{}},
		{"Restarted", Restarted{}},
		{"DepsMet", DepsMet{}},
		{"DepsHeld", DepsHeld{On: "other"}},
		{"DepsLost", DepsLost{On: "other"}},
		{"Broken", Broken{Why: Cause{Kind: Unsatisfiable, Text: "a cycle"}}},
		{"Mended", Mended{}},
		{"Configured without health", Configured{Rules: &unchecked}},
		{"Configured with health", Configured{Rules: &withCheck}},
		{"Adopted", Adopted{Run: 7}},
		{"Spawned", Spawned{Run: run}},
		{"SpawnFailed", SpawnFailed{Run: run, Text: "no such file"}},
		{"Unspawned", Unspawned{Run: run}},
		{"Probed, passed", Probed{Run: run}},
		{"Probed, failed", Probed{Run: run, Err: "refused"}},
		{"ProbeLost", ProbeLost{Run: run}},
		{"ProcessGone, code 0", ProcessGone{Run: run}},
		{"ProcessGone, code 1", ProcessGone{Run: run, Outcome: Outcome{Code: 1}}},
		{"ProcessGone, signal 9", ProcessGone{Run: run, Outcome: Outcome{Signal: syscall.SIGKILL}}},
		{"ProcessGone, lingers", ProcessGone{Run: run, Outcome: Outcome{Code: 1}, Lingers: true}},
		{"GroupGone", GroupGone{Run: run}},
		{"MainFound", MainFound{Run: run}},
		{"MainMissing", MainMissing{Run: run, Text: "no pid file"}},
		{"HooksDone", HooksDone{Run: run, Hook: hook}},
		{"HooksDone, failed", HooksDone{Run: run, Hook: hook, Err: "exit code 1"}},
		{"HooksDone of another hook", HooksDone{Run: run, Hook: hook%ExecStopPost + 1}},
		{"Cleared", Cleared{Run: run}},
		{"ReloadAsked", ReloadAsked{}},
		{"Notified, ready", Notified{Run: run, Ready: true}},
		{"Notified, alive", Notified{Run: run, Alive: true}},
		{"Notified, trigger", Notified{Run: run, Trigger: true}},
		{"Notified, reloading", Notified{Run: run, Reloading: true}},
		{"Notified, stopping", Notified{Run: run, Stopping: true}},
		{"Notified, extend 1m", Notified{Run: run, Extend: time.Minute}},
		{"Resumed", Resumed{Run: run}},
		{"Ticked", Ticked{}},
	}
}

// TestEveryEventInEveryState compares the whole machine, cell by cell, with
// testdata/machine/matrix.txt, which is meant to be read.
func TestEveryEventInEveryState(t *testing.T) {
	var text strings.Builder
	text.WriteString(matrixHead)
	seen := map[string]bool{}
	for _, v := range variants {
		l := v.make()
		seen[l.State.String()] = true
		fmt.Fprintf(&text, "\n== %s\n   %s at %s\n", v.name, describe(l.Service), moment(l.now))
		quiet := []string{}
		for _, row := range matrixEvents(l.Run(), l.Hook(), l.Rules) {
			_, concerns := runOf(row.ev)
			l := v.make()
			before := describe(l.Service)
			actions := describeActions(l.give(row.ev))
			after := describe(l.Service)
			if before == after && actions == "" {
				if !concerns || l.Run() != 0 {
					quiet = append(quiet, row.name)
				}
				continue
			}
			if before == after {
				after = "(same)"
			}
			fmt.Fprintf(&text, "   %-26s -> %s\n", row.name, after)
			if actions != "" {
				fmt.Fprintf(&text, "   %-26s    %s\n", "", actions)
			}
		}
		if l.Run() == 0 {
			quiet = append(quiet, "whatever concerns a run")
		}
		fmt.Fprintf(&text, "   nothing: %s\n", strings.Join(quiet, "; "))
	}
	if len(seen) != 7 {
		t.Errorf("the matrix shows %d of 7 states: %v", len(seen), seen)
	}
	golden(t, filepath.Join(testdata, "matrix.txt"), text.String())
}

const matrixHead = `Every event in every state of a service.

Each block is a state with one of its shades, and the moment of the event. Below
it, for each event that changes something: the new state, and in capitals what
the machine orders. Events without an effect are listed last. In brackets is what
the service is told from outside: whether it is wanted, and what the graph says.

The rules, where the name of the block does not say otherwise: restart on failure
after 200 ms, doubled up to 1 s, given up after 4 restarts; a run of 10 s is a good
one; start timeout 30 s, stop timeout 2 s; health checked every 1 s, 3 retries;
watchdog 5 s; reload by SIGHUP.
`

// TestOldRunsAreRefused gives every state every event of a run that is over.
func TestOldRunsAreRefused(t *testing.T) {
	for _, v := range variants {
		l := v.make()
		for _, run := range []Run{0, l.Run() + 1, l.Run() + 100} {
			for _, row := range matrixEvents(run, l.Hook(), l.Rules) {
				if _, concerns := runOf(row.ev); !concerns {
					continue
				}
				got := v.make()
				before := got.Service
				if actions := got.give(row.ev); len(actions) > 0 || describe(got.Service) != describe(before) {
					t.Errorf("%s: %s of run %d, while run %d lives: %s %s", v.name, row.name, run, l.Run(), describe(got.Service), describeActions(actions))
				}
			}
		}
	}
}

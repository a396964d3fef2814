package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"zinit/sock"
)

// Fault 29: a file is replaced, in both ways in which editors and programs do it,
// while the server reads it again and again.
func TestFault29AFileReplacedWhileItIsReadIsOldOrNew(t *testing.T) {
	t.Parallel()
	// A mixture would have one number in dir and another one in the variable at its
	// end. The comment makes the file longer than one read.
	text := func(n int) string {
		return file("a", quiet, stopped, fmt.Sprintf("dir = \"/%d\"", n), "# "+strings.Repeat("x", 100_000+n%7*1000), fmt.Sprintf("env = { N = \"%d\" }", n))
	}
	in := startServer(t, map[string]string{"a": text(0), "b": file("b", quiet)})
	in.waitState("b", "running")
	check := in.untouched("b")
	path := filepath.Join(in.config, "a.toml")
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			err := error(nil)
			if n%2 == 0 {
				err = os.WriteFile(path, []byte(text(n)), 0o644)
			} else if err = os.WriteFile(path+".new", []byte(text(n)), 0o644); err == nil {
				err = os.Rename(path+".new", path)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	defer writer.Wait()
	defer cancel()
	c := in.dial()
	seen := map[string]bool{}
	for range 200 {
		if _, err := c.Reload(shortly(t), sock.ReloadParams{}); err != nil {
			t.Fatal(err)
		}
		conf, err := c.Get(shortly(t), "a")
		if err != nil {
			t.Fatal(err)
		}
		if conf.Service.Dir == nil || *conf.Service.Dir != "/"+conf.Service.Env["N"] {
			t.Fatalf("a mixture: %+v", conf.Service)
		}
		seen[*conf.Service.Dir] = true
	}
	if len(seen) < 2 {
		t.Errorf("only %v was ever read", seen)
	}
	cancel()
	writer.Wait()
	in.write("a", text(-1))
	if _, err := c.Reload(shortly(t), sock.ReloadParams{}); err != nil {
		t.Fatal(err)
	}
	if conf, err := c.Get(shortly(t), "a"); err != nil || conf.Service.Env["N"] != "-1" {
		t.Errorf("what is there in the end is not read: %+v, %v", conf.Service, err)
	}
	check()
}

// Fault 31: a reload would tie a knot.
func TestFault31AReloadWithACycleIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"a": file("a", quiet, requires("b")),
		"b": file("b", quiet),
		"c": file("c", quiet),
	})
	in.waitState("a b c", "running")
	list := func() string { // without the times
		var out strings.Builder
		for line := range strings.Lines(in.must("list")) {
			what, _, _ := strings.Cut(line, " up ")
			fmt.Fprintln(&out, strings.TrimSpace(what))
		}
		return out.String()
	}
	check, before := in.untouched("a", "b", "c"), list()
	in.write("b", file("b", quiet, requires("c")))
	in.write("c", file("c", "sleep 200000", requires("a")))
	in.write("new", file("new", quiet))
	for _, args := range []string{"reload --dry-run", "reload", "reload c"} {
		out, code := in.zinit(strings.Fields(args)...)
		path := "a -> b -> c -> a"
		if args == "reload c" {
			path = "" // b is what it was: there is no cycle by c alone
		}
		if path != "" && (code != 1 || !strings.Contains(out, path)) {
			t.Errorf("zinit %s: code %d: %s", args, code, out)
		}
		if path == "" {
			continue
		}
		if now := list(); now != before {
			t.Errorf("after zinit %s the list is\n%s\nand was\n%s", args, now, before)
		}
		check()
	}
	var refused *sock.Error
	_, err := in.dial().Reload(shortly(t), sock.ReloadParams{})
	if !asError(err, &refused) || refused.Code != sock.CodeCycle || refused.Word() != sock.WordCycle {
		t.Errorf("on the wire it is %v", err)
	}
	// Mended, all of it is taken in at once.
	in.write("b", file("b", quiet))
	in.must("reload")
	in.waitState("new", "running")
}

// Fault 33: the file of what others require is removed.
func TestFault33AReloadThatRemovesWhatOthersRequireIsOneStep(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"db":   file("db", quiet),
		"web":  file("web", quiet, requires("db")),
		"app":  file("app", quiet, requires("web")),
		"idle": file("idle", quiet, stopped, requires("db")),
		"far":  file("far", quiet),
	})
	in.waitState("db web app far", "running")
	check := in.untouched("db", "web", "app", "far")
	if err := os.Remove(filepath.Join(in.config, "db.toml")); err != nil {
		t.Fatal(err)
	}
	c := in.dial()
	plan, err := c.Reload(shortly(t), sock.ReloadParams{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	check()
	if out, _ := in.zinit("reload", "--dry-run"); !strings.Contains(out, "web") || !strings.Contains(out, "missing dependency 'db'") {
		t.Errorf("the dry run says %s", out)
	}
	sorted := func(names []string) string { return strings.Join(slices.Sorted(slices.Values(names)), " ") }
	if sorted(plan.Removed) != "db" || sorted(plan.Stopped) != "app db web" || len(plan.ConfigErrors) != 2 {
		t.Errorf("the plan is %+v", plan)
	}
	if !slices.ContainsFunc(plan.Failed, func(f sock.NamedText) bool {
		return f.Name == "web" && strings.Contains(f.Text, "missing dependency 'db'")
	}) {
		t.Errorf("the plan does not say that web fails: %+v", plan.Failed)
	}

	check = in.untouched("far")
	events := in.follow()
	done, err := c.Reload(shortly(t), sock.ReloadParams{})
	if err != nil {
		t.Fatal(err)
	}
	if done.DryRun = true; fmt.Sprint(done) != fmt.Sprint(plan) {
		t.Errorf("it was to do\n%+v\nand did\n%+v", plan, done)
	}
	in.waitState("web idle", "failed")
	for _, name := range []string{"web", "idle"} {
		if s := in.status(name); !strings.Contains(s.Reason, "missing dependency 'db'") {
			t.Errorf("%s failed: %s", name, s.Reason)
		}
	}
	if s := in.status("app"); s.State.State != sock.Blocked || !strings.Contains(s.Reason, "web") {
		t.Errorf("app is %s: %s", s.State.State, s.Reason)
	}
	order := events.until(func(e sock.Event) bool { return e.Type == sock.EventRemoved && e.Service == "db" })
	var downs []string
	for _, e := range order {
		if e.From == sock.Running || e.From == sock.Stopping {
			downs = append(downs, e.Service+" "+e.From)
		}
	}
	if got := strings.Join(downs, ", "); got != "app running, app stopping, web running, web stopping, db running, db stopping" {
		t.Errorf("they went down in the order %s", got)
	}
	check()
}

// Fault 34: what was missing is added.
func TestFault34AMissingDependencyThatIsAddedBringsUpWhatWaits(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"web":  file("web", quiet, requires("db")),
		"app":  file("app", quiet, requires("web")),
		"idle": file("idle", quiet, stopped, requires("db")),
	})
	in.waitState("web", "failed")
	in.write("db", file("db", quiet))
	if out := in.must("reload"); !strings.Contains(out, "db") || !strings.Contains(out, "web") || !strings.Contains(out, "app") {
		t.Errorf("the reload says %s", out)
	}
	in.waitState("db web app", "running")
	if s := in.status("idle"); s.State.State != sock.Inactive {
		t.Errorf("what was not to start is %s: %s", s.State.State, s.Reason)
	}
	in.must("start", "idle")
	in.waitState("idle", "running")
}

package main_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// events is what a subscriber has heard.
type events struct {
	t   *testing.T
	c   chan sock.Event
	all []sock.Event
}

// follow subscribes to the events of all services from now on, beginning with
// their present state.
func (in *instance) follow() *events {
	in.t.Helper()
	ev := &events{t: in.t, c: make(chan sock.Event, 10_000)}
	ctx, cancel := context.WithCancel(in.t.Context())
	in.t.Cleanup(cancel)
	c := in.dial()
	go func() {
		defer close(ev.c)
		for e, err := range c.Events(ctx, sock.EventsParams{Now: true}) {
			if err != nil {
				in.t.Errorf("events end: %v", err)
				return
			}
			ev.c <- e
		}
	}()
	ev.until(func(e sock.Event) bool { return e.Type == sock.EventNow })
	return ev
}

// until returns everything that was heard up to an event that is so.
func (ev *events) until(so func(sock.Event) bool) []sock.Event {
	ev.t.Helper()
	late := time.After(patience)
	for {
		select {
		case e, ok := <-ev.c:
			if !ok {
				ev.t.Fatalf("the events ended after %+v", ev.all)
			}
			if ev.all = append(ev.all, e); so(e) {
				return ev.all
			}
		case <-late:
			ev.t.Fatalf("waited in vain for an event; heard %+v", ev.all)
		}
	}
}

// killServer kills the server and returns when the next one answers.
func (in *instance) killServer() {
	in.t.Helper()
	old := in.serverPID()
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		in.t.Fatal(err)
	}
	in.another(old)
}

func TestAReloadTouchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"same":    file("same", quiet),
		"order":   file("order", quiet),
		"program": file("program", quiet),
		"rules":   file("rules", quiet),
		"away":    file("away", quiet),
	})
	in.waitState("same order program rules away", "running")
	check := in.untouched("same", "order", "program", "rules")
	in.write("order", file("order", quiet, "[dependencies]\nafter = [\"same\"]"))
	in.write("program", file("program", "sleep 200000"))
	in.write("rules", file("rules", quiet, lifecycle, "stop_timeout_ms = 5"))
	in.write("fresh", file("fresh", quiet))
	in.write("broken", "[service]\nname = 5\n")
	if err := os.Remove(filepath.Join(in.config, "away.toml")); err != nil {
		t.Fatal(err)
	}
	c := in.dial()
	r, err := c.Reload(shortly(t), sock.ReloadParams{})
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]sock.Names{"broken fresh": r.Added, "order program rules": r.Changed, "away": r.Removed, "fresh": r.Started, "program": r.RestartToApply, "": r.Restarted} {
		slices.Sort(got)
		if strings.Join(got, " ") != what {
			t.Errorf("want %q among %+v", what, r)
		}
	}
	if len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "broken.toml") {
		t.Errorf("the problems are %q", r.Problems)
	}
	in.waitState("fresh", "running")
	check()
	if s := in.status("program"); !strings.Contains(s.Reason, "restart it to apply") {
		t.Errorf("of the one that runs as before it is said: %q", s.Reason)
	}
	in.until("the end of what was removed", func() (string, bool) {
		out, code := in.zinit("status", "away")
		return out, code == 4
	})
	// By name, it is restarted; others are left alone even if they changed again.
	in.write("rules", file("rules", "sleep 300000"))
	check = in.untouched("same", "order", "rules", "fresh")
	was := in.pid("program")
	in.must("reload", "program")
	in.waitState("program", "running")
	if now := in.status("program"); now.State.PID == was || strings.Contains(now.Reason, "restart it") {
		t.Errorf("it runs as %d: %q", now.State.PID, now.Reason)
	}
	check()
	// And by signal, as programs that know no RPC do it.
	in.write("later", file("later", quiet))
	if err := syscall.Kill(in.keeperPID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	in.until("the reload", func() (string, bool) {
		out, code := in.zinit("status", "later")
		return out, code == 0
	})
}

func TestSetReplacesAServiceInPlace(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"10-db": "# the data base\n[service]\nname = \"db\"\nexec = \"sleep 100000\" # for ever\n",
		"web":   file("web", quiet, requires("db")),
		"far":   file("far", quiet),
	})
	in.waitState("db web far", "running")
	check, was := in.untouched("far"), in.pid("db")
	c := in.dial()
	r, err := c.Set(shortly(t), described("db", "sleep 200000"), sock.SetOptions{})
	if err != nil || r.Path != filepath.Join(in.config, "10-db.toml") {
		t.Fatalf("set: %+v, %v", r, err)
	}
	in.waitState("db web", "running")
	if in.pid("db") == was {
		t.Error("it still runs what it ran before")
	}
	text, err := os.ReadFile(r.Path)
	if err != nil || !strings.Contains(string(text), "# the data base") || !strings.Contains(string(text), "sleep 200000") {
		t.Errorf("the file is %q: %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(in.config, "db.toml")); err == nil {
		t.Error("there is a second file")
	}
	if plan, err := c.Reload(shortly(t), sock.ReloadParams{DryRun: true}); err != nil || len(plan.Changed) != 0 {
		t.Errorf("a reload would change %v, %v", plan.Changed, err)
	}
	check()
	in.shutdown()
	in.launch()
	in.waitState("db web far", "running")
	if conf, err := in.dial().Get(shortly(t), "db"); err != nil || conf.Service.Exec != "sleep 200000" {
		t.Errorf("after a start it is %+v: %v", conf, err)
	}
}

func TestChangesThatComeTogetherAreAllMade(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"base": file("base", quiet)})
	in.waitState("base", "running")
	var clients sync.WaitGroup
	const n = 8
	for i := range n {
		c := in.dial()
		clients.Go(func() {
			name := fmt.Sprintf("s%d", i)
			for round := range 3 {
				conf := described(name, fmt.Sprintf("sleep %d", 100000+round))
				conf.Dependencies.Requires = sock.Names{"base"}
				if _, err := c.Set(shortly(t), conf, sock.SetOptions{Ephemeral: i%2 == 0}); err != nil {
					t.Error(err)
				}
				if _, err := c.Reload(shortly(t), sock.ReloadParams{}); err != nil {
					t.Error(err)
				}
			}
			if i < 2 {
				if err := c.Delete(shortly(t), name, sock.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	for i := 2; i < n; i++ {
		name := fmt.Sprintf("s%d", i)
		in.waitState(name, "running")
		if conf, err := in.dial().Get(shortly(t), name); err != nil || conf.Service.Exec != "sleep 100002" {
			t.Errorf("%s is %+v: %v", name, conf.Service, err)
		}
	}
	if plan, err := in.dial().Reload(shortly(t), sock.ReloadParams{DryRun: true}); err != nil || len(plan.Added)+len(plan.Changed)+len(plan.Removed) != 0 {
		t.Errorf("files and services differ: %+v, %v", plan, err)
	}
}

func TestEphemeralServicesOutliveTheServer(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"kept": file("kept", quiet)})
	in.waitState("kept", "running")
	c := in.dial()
	conf := described("brief", quiet)
	conf.Service.Env = map[string]string{"SECRET": "x"}
	r, err := c.Monitor(shortly(t), conf)
	if err != nil || r.Path != "" {
		t.Fatalf("monitor: %+v, %v", r, err)
	}
	in.waitState("brief", "running")
	check := in.untouched("kept", "brief")
	if names := tree(t, in.config); len(names) != 2 {
		t.Errorf("in the configuration directory there are %q", names)
	}
	dir := filepath.Join(in.dir, "zinit", "services")
	for path, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "brief.toml"): 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", path, st, err, want)
		}
	}
	in.must("reload")
	check()
	in.killServer()
	check()
	in.must("reload")
	check()
	// From now on for good.
	if _, err := in.dial().Set(shortly(t), conf, sock.SetOptions{}); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
	in.must("remove", "brief")
	if names := tree(t, in.config); len(names) != 2 {
		t.Errorf("in the configuration directory there are %q", names)
	}
}

func TestDeleteAnswersBeforeOldClientsGiveUp(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"b": file("b", quiet), "on-b": file("on-b", quiet, requires("b"))})
	in.waitState("b on-b", "running")
	c := in.dial()
	took := time.Duration(0)
	for _, name := range []string{"a1", "a2", "a3", "a4"} { // one is enough if this machine is not too slow
		in.write(name, file(name, deaf, lifecycle, "stop_timeout_ms = 6000"))
		in.must("reload")
		in.waitState(name, "running")
		pid := in.pid(name)
		in.deafened(pid)
		began := time.Now()
		if err := c.Delete(shortly(t), name, sock.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		took = time.Since(began)
		if _, err := os.Stat(filepath.Join(in.config, name+".toml")); err == nil {
			t.Error("its file is still there")
		}
		in.gone(pid)
		if took < 4900*time.Millisecond {
			break
		}
	}
	if took < 3*time.Second || took > 4900*time.Millisecond {
		t.Errorf("the answer came after %v", took)
	}
	refusedWith(t, "delete of what others require", c.Delete(shortly(t), "b", sock.DeleteOptions{}), sock.CodeUnsafeRemoval, "on-b requires it")
	if err := c.Delete(shortly(t), "b", sock.DeleteOptions{Cascade: true}); err != nil {
		t.Fatal(err)
	}
	in.until("the end of both", func() (string, bool) {
		names, err := c.List(shortly(t))
		return fmt.Sprint(names), err == nil && slices.Equal(names, []string{"on-b"})
	})
	if s := in.status("on-b"); s.State.State != sock.Failed || !strings.Contains(s.Reason, "missing dependency 'b'") {
		t.Errorf("on-b is %s: %s", s.State.State, s.Reason)
	}
	in.must("delete-all")
	if names, err := c.List(shortly(t)); err != nil || len(names) != 0 {
		t.Errorf("left are %v, %v", names, err)
	}
	if files, _ := filepath.Glob(in.config + "/*"); len(files) != 0 {
		t.Errorf("left are the files %q", files)
	}
}

func TestEventsGoOnAfterTheServerDied(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{"a": file("a", quiet)})
	in.waitState("a", "running")
	ev := in.follow()
	in.must("restart", "a")
	heard := ev.until(func(e sock.Event) bool { return e.Type == sock.EventState && e.To == sock.Running })
	last := uint64(0)
	for _, e := range heard {
		if e.Type == sock.EventState && e.Seq <= last {
			t.Errorf("event %d after event %d", e.Seq, last)
		}
		last = e.Seq
	}
	in.killServer()
	ev.until(func(e sock.Event) bool { return e.Type == sock.EventGap })
	ev.until(func(e sock.Event) bool { return e.Type == sock.EventNow && e.To == sock.Running })
	in.must("stop", "a")
	ev.until(func(e sock.Event) bool { return e.Type == sock.EventState && e.To == sock.Exited })
}

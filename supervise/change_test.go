package supervise

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
)

// say is what a change does, without what is empty.
func say(ch Changes) (text string) {
	v := reflect.ValueOf(ch)
	for i := range v.NumField() {
		if v.Field(i).Len() > 0 {
			text += fmt.Sprintf("%s%v ", v.Type().Field(i).Name, v.Field(i))
		}
	}
	return text
}

// makes checks what a change is said to do, first in a dry run, which does nothing,
// and then when it is made.
func (h *house) makes(ch Change, want string) {
	h.t.Helper()
	h.make(func(dry bool) (Changes, error) {
		ch.DryRun = dry
		return h.s.Reload(ch)
	}, want)
}

func (h *house) puts(line, want string) {
	h.t.Helper()
	h.make(func(dry bool) (Changes, error) { return h.s.Put(services(h.t, line).Services[0], dry) }, want)
}

func (h *house) deletes(name string, cascade bool, want string) {
	h.t.Helper()
	h.make(func(dry bool) (Changes, error) { return h.s.Delete(name, cascade, dry) }, want)
}

func (h *house) make(change func(dry bool) (Changes, error), want string) {
	h.t.Helper()
	before, version := h.states(), h.s.version.Load()
	h.k.take()
	for _, dry := range []bool{true, false} {
		plan, err := change(dry)
		h.ok(err)
		if got := say(plan); got != want+" " {
			h.t.Errorf("dry run %v: it says\n     %s\nwant %s", dry, got, want)
		}
		if dry {
			h.did("")
			h.is(before)
			if h.s.version.Load() != version {
				h.t.Errorf("the dry run changed something")
			}
		}
	}
	h.pass(20 * ms)
}

// toApply lists the services that run on with what they were started with.
func (h *house) toApply(want ...string) {
	h.t.Helper()
	var got []string
	for _, v := range h.s.Snapshot().Views {
		if v.RestartToApply {
			got = append(got, v.Name)
		}
	}
	if !reflect.DeepEqual(got, want) {
		h.t.Errorf("restart to apply: %v, want %v", got, want)
	}
}

// TestRestartToApply is said of what runs with another configuration than it has,
// until it does not.
func TestRestartToApply(t *testing.T) {
	inHouse(t, []string{"web", "once oneshot", "idle status=stop"}, func(h *house) {
		h.k.ends(t, "once", reap.ExitCode(0))
		h.pass(10 * ms)
		h.toApply()
		all := func(lines ...string) Change { return Change{Set: services(t, lines...)} }
		h.makes(all("web env=A=1", "once oneshot env=A=1", "idle status=stop env=A=1"),
			"Changed[web once idle] RestartToApply[web once]")
		h.did("")
		h.toApply("web", "once")
		// What it was started with once more.
		h.makes(all("web max=7", "once oneshot", "idle status=stop"), "Changed[web once idle]")
		h.toApply()
		h.makes(all("web exec=/bin/other", "once oneshot", "idle status=stop"), "Changed[web] RestartToApply[web]")
		h.ok(h.s.Restart("web"))
		h.pass(10 * ms)
		h.did("TERM web, spawn web")
		h.toApply()
		// A crash does it too.
		h.makes(all("web", "once oneshot", "idle status=stop"), "Changed[web] RestartToApply[web]")
		h.k.ends(t, "web", reap.ExitCode(1))
		h.pass(10 * ms)
		h.toApply()
		h.pass(300 * ms)
		h.is("web running, once exited (exit code 0), idle inactive")
		h.toApply()
	})
}

// TestKindChangesAtTheNextStart: a process that was started as a service is not
// held to be the end of a oneshot, nor the other way round.
func TestKindChangesAtTheNextStart(t *testing.T) {
	inHouse(t, []string{"job", "user requires=job"}, func(h *house) {
		set := Change{Set: services(t, "job oneshot", "user requires=job")}
		h.makes(set, "Changed[job] RestartToApply[job]")
		h.is("job running, user running")
		h.toApply("job")
		h.ok(h.s.Restart("job"))
		h.pass(10 * ms)
		h.is("job running, user blocked (waiting on: job)")
		h.k.ends(t, "job", reap.ExitCode(0))
		h.pass(10 * ms)
		h.is("job exited (exit code 0), user running")
		set = Change{Set: services(t, "job restart=always", "user requires=job")}
		h.makes(set, "Changed[job] RestartToApply[job]")
		h.is("job exited (exit code 0), user running")
		set.Restart, set.Set = true, services(t, "job restart=always max=3", "user requires=job")
		h.makes(set, "Changed[job] Started[job]")
		h.is("job running, user running")
	})
}

// TestKillModeOfARun: whether a run's group is its own was decided when it was
// started, also by an earlier server.
func TestKillModeOfARun(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Lingers: 100})
		h.ok(h.s.Restart("web"))
		h.pass(10 * ms)
		h.makes(Change{Set: services(t, "web kill=process")}, "Changed[web] RestartToApply[web]")
		h.dies("web kill=process")
		h.toApply("web")
		h.k.take()
		h.ok(h.s.Stop("web"))
		h.pass(3 * time.Second)
		h.is("web exited (stopped)")
		h.did("TERM web, KILL web")
	})
}

// TestChangeOfOne leaves the others as they are.
func TestChangeOfOne(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "gone", "bad: wrong"}, func(h *house) {
		set := services(t, "db env=A=1", "web requires=db env=A=1", "new", "bad: wrong", "web: not this")
		set.Services = set.Services[:3]
		one := func(name string) Change { return Change{Set: set, Only: name, Restart: true} }
		h.makes(one("web"), "Changed[web] Restarted[web]")
		h.did("TERM web, spawn web")
		if n := len(h.s.Snapshot().Problems); n != 2 {
			t.Errorf("%d problems are known, want that of bad and that of web", n)
		}
		h.makes(one("gone"), "Removed[gone] Stopped[gone]")
		h.makes(one("new"), "Added[new] Started[new]")
		h.makes(one("db"), "Changed[db] Restarted[db web]")
		h.did("TERM web, TERM db, spawn db, spawn web")
		_, err := h.s.Reload(one("nope"))
		h.refused(err, NotFound, "service not found: nope")
		_, err = h.s.Reload(one("gone"))
		h.refused(err, NotFound, "service not found: gone")
		set.Problems = nil
		set.Services = append(set.Services, services(t, "bad").Services...)
		h.makes(one("bad"), "Changed[bad] Started[bad]")
		h.is("db running, web running, bad running, new running")
	})
}

// TestChangeRestartsWhatNeedsIt, and nothing else.
func TestChangeRestartsWhatNeedsIt(t *testing.T) {
	inHouse(t, []string{"same", "rules", "stopped", "failed exec=/missing max=1", "lost requires=nobody", "idle status=stop"}, func(h *house) {
		h.ok(h.s.Stop("stopped"))
		h.pass(time.Minute)
		h.makes(Change{Restart: true, Set: services(t, "same", "rules max=7", "stopped env=A=1", "failed exec=/bin/true", "lost requires=same", "idle status=stop env=A=1")},
			"Changed[rules stopped failed lost idle] Started[failed lost]")
		h.did("spawn failed, spawn lost")
		h.is("same running, rules running, stopped exited (stopped), failed running, lost running, idle inactive")
	})
}

func TestPut(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "stopped", "idle status=stop"}, func(h *house) {
		h.ok(h.s.Stop("stopped"))
		h.pass(10 * ms)
		h.puts("new requires=db", "Added[new] Started[new]")
		h.did("spawn new")
		// In place: those that require it come back.
		h.puts("db env=A=1", "Changed[db] Restarted[db web new]")
		h.did("TERM new, TERM web, TERM db, spawn db, spawn new, spawn web")
		h.puts("db env=A=1 max=7", "Changed[db]")
		h.did("")
		// What was stopped is started, unless its status says otherwise.
		h.puts("stopped", "Started[stopped]")
		h.puts("idle env=A=1 status=stop", "Changed[idle]")
		h.puts("quiet status=ignore", "Added[quiet]")
		h.is("db running, web running, stopped running, idle inactive, new running, quiet inactive")
		h.puts("lost requires=nobody", "Added[lost] Failed[{lost missing dependency 'nobody'}] Missing[[lost nobody]]")
		h.puts("broken exec=/missing", "Added[broken] Failed[{broken spawn error: /missing: no such file}] Missing[[lost nobody]]")
		_, err := h.s.Put(services(t, "db requires=web").Services[0], false)
		h.refused(err, Cycle, "db refused, nothing is changed: dependency cycle: db -> web -> db: drop one of these dependencies")
		h.toApply()
	})
}

// TestPutWithoutAFile: nobody can tell whether it is the same as before.
func TestPutWithoutAFile(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		s := *services(t, "web env=A=1").Services[0]
		s.Source, s.Digest = "", [32]byte{}
		again, other := s, s
		other.Env = []string{"A=2"}
		for _, tc := range []struct {
			put  *config.Service
			want string
		}{{&s, "Changed[web] Restarted[web]"}, {&again, "Changed[web]"}, {&other, "Changed[web] Restarted[web]"}} {
			h.make(func(dry bool) (Changes, error) { return h.s.Put(tc.put, dry) }, tc.want)
		}
	})
}

func TestDelete(t *testing.T) {
	lines := []string{"db", "app requires=db", "web requires=app", "late after=db", "all target requires=web"}
	inHouse(t, lines, func(h *house) {
		_, err := h.s.Delete("nope", true, false)
		h.refused(err, NotFound, "service not found: nope")
		_, err = h.s.Delete("db", false, true)
		h.refused(err, Required, "db: app requires it: delete that first, or cascade: what requires it is stopped and fails then")
		h.deletes("db", true, "Removed[db] Stopped[db app web all] Failed[{app missing dependency 'db'}] Missing[[app db]]")
		h.did("TERM web, TERM app, TERM db")
		h.is("app failed (missing dependency 'db'), web blocked (waiting on: app), late running, all blocked (waiting on: web)")
		h.deletes("late", false, "Removed[late] Stopped[late] Missing[[app db]]")
		// A missing dependency that is added later.
		h.puts("db", "Added[db] Started[app web all db]")
		h.is("app running, web running, all running, db running")
	})
}

func TestDeleteAll(t *testing.T) {
	lines := []string{"db", "app requires=db", "web requires=app", "late after=db", "all target requires=web"}
	inHouse(t, lines, func(h *house) {
		h.k.take()
		ch, err := h.s.DeleteAll([]string{"db", "app", "nope", "late"})
		h.ok(err)
		if got, want := say(ch), "Removed[db app late] Stopped[db app web late all] Failed[{web missing dependency 'app'}] Missing[[web app]] "; got != want {
			t.Errorf("it says\n     %s\nwant %s", got, want)
		}
		h.pass(20 * ms)
		h.did("TERM late, TERM web, TERM app, TERM db")
		h.is("web failed (missing dependency 'app'), all blocked (waiting on: web)")
		ch, err = h.s.DeleteAll(nil)
		h.ok(err)
		if got := say(ch); got != "Missing[[web app]] " {
			t.Errorf("of none it says %s", got)
		}
	})
}

func TestRequiredBy(t *testing.T) {
	for _, tc := range []struct {
		users []string
		want  string
	}{
		{[]string{"a"}, "a requires it"},
		{[]string{"a", "b"}, "a and b require it"},
		{[]string{"a", "b", "c", "d"}, "a, b, c and d require it"},
		{[]string{"a", "b", "c", "d", "e"}, "a, b, c and others require it"},
	} {
		if got := requiredBy(tc.users); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.users, got, tc.want)
		}
	}
}

// TestForeseenAmongWhatIsUnderWay: what would happen anyway is not put down to the
// change.
func TestForeseenAmongWhatIsUnderWay(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db", "crashed"}, func(h *house) {
		h.k.odds("web", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("web"))
		h.pass(3 * time.Second)
		h.k.ends(t, "crashed", reap.ExitCode(1))
		h.pass(10 * ms)
		h.ok(h.s.Restart("db"))
		h.pass(10 * ms)
		h.is("db running, web stopping (db, which it requires, went down), crashed failed (exit code 1)")
		set := services(t, "db", "web requires=db", "crashed", "new requires=web")
		h.makes(Change{Set: set}, "Added[new] Started[new]")
		h.pass(3 * time.Second)
		h.is("db running, web running, crashed running, new running")
	})
}

func TestStartAllAndStopAll(t *testing.T) {
	lines := []string{"net class=system requires=base", "base", "web", "ignored status=ignore", "idle status=stop", "top target requires=web",
		"lost requires=nobody", "once oneshot"}
	inHouse(t, lines, func(h *house) {
		h.k.ends(t, "once", reap.ExitCode(0))
		h.pass(10 * ms)
		all := func(f func() ([]string, error), want string) {
			t.Helper()
			h.k.take()
			names, err := f()
			h.ok(err)
			if got := fmt.Sprint(names); got != want {
				t.Errorf("%s, want %s", got, want)
			}
			h.pass(10 * ms)
		}
		all(h.s.StartAll, "[idle]")
		h.did("spawn idle")
		// base stays: net, which is the system's, requires it.
		all(h.s.StopAll, "[web idle top lost once]")
		h.did("TERM idle, TERM web")
		h.is("net running, base running, web exited (stopped), ignored inactive, idle exited (stopped), top inactive, " +
			"lost failed (missing dependency 'nobody'), once exited (exit code 0)")
		all(h.s.StopAll, "[]")
		all(h.s.StartAll, "[web idle top once]")
		h.did("spawn idle, spawn once, spawn web")
		all(h.s.StartAll, "[]")
		h.s.Shutdown()
		if _, err := h.s.StartAll(); err == nil {
			t.Error("it starts while it shuts down")
		}
	})
}

// TestAContradictionLeavesTheLoopFree: x requires, by way of m, the y that it keeps
// down. While y waits for another reason, and x cannot be spawned, nothing is left
// to wait for; all others are served all the same.
func TestAContradictionLeavesTheLoopFree(t *testing.T) {
	sickHouse(t, []string{"m"}, func(h *house) {
		h.pass(10 * ms)
		h.health("z", "not yet")
		set := services(t, "z health", "y requires=z", "m requires=y", "x exec=/missing requires=m conflicts=y")
		_, err := h.s.Reload(Change{Set: set})
		h.ok(err)
		h.ok(h.s.Stop("x"))
		h.health("z", "")
		h.pass(time.Second)
		h.is("m running, z running, y running, x inactive")
	})
}

// TestARemovalTakenBackStarts what went down for the removal.
func TestARemovalTakenBackStarts(t *testing.T) {
	inHouse(t, []string{"db", "slow"}, func(h *house) {
		h.k.odds("slow", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Restart("slow"))
		h.pass(3 * time.Second)
		h.makes(Change{Set: &config.Set{}}, "Removed[db slow] Stopped[db slow]")
		h.is("slow stopping (stop asked for)")
		h.makes(Change{Set: services(t, "db", "slow")}, "Added[db] Changed[slow] Started[slow db]")
		h.pass(3 * time.Second)
		h.is("slow running, db running")
	})
}

package supervise

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
)

// waiting begins a wait, and returns a function that says what came of it.
func (h *house) waiting(limit time.Duration, goal Goal, settle bool, names ...string) (answer func() string) {
	out := make(chan string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		begun := time.Now()
		list, err := h.s.Wait(ctx, names, goal, settle)
		words := []string{"after " + time.Since(begun).Round(10*ms).String()}
		for _, w := range list {
			word := w.Name + " reached"
			switch {
			case w.View == nil && !w.Reached:
				word = w.Name + " unknown"
			case w.Hopeless:
				word = w.Name + " hopeless"
			case !w.Reached:
				word = w.Name + " not yet"
			}
			words = append(words, word)
		}
		if err != nil {
			words = append(words, err.Error())
		}
		out <- strings.Join(words, ", ")
	}()
	synctest.Wait()
	return func() string {
		select {
		case s := <-out:
			return s
		default:
			return "waiting"
		}
	}
}

func TestWait(t *testing.T) {
	lines := []string{"db", "web requires=db", "setup oneshot", "idle status=stop", "bad requires=nobody", "all target requires=web"}
	for _, tc := range []struct {
		name   string
		goal   Goal
		settle bool
		names  string
		do     func(h *house)
		want   string
	}{
		{"reached already", GoalUp, false, "db web all", nil, "after 0s, db reached, web reached, all reached"},
		{"a state's word", "running", false, "db", nil, "after 0s, db reached"},
		{"a service that does not exist", GoalUp, false, "db nope", nil, "after 0s, db reached, nope unknown"},
		{"time runs out", GoalDown, false, "db idle", nil, "after 10s, db not yet, idle reached"},
		{"a target that runs is not down", GoalDown, false, "all", nil, "after 10s, all not yet"},
		{"hopeless, not settling", GoalUp, false, "bad", nil, "after 10s, bad hopeless"},
		{"hopeless, settling", GoalUp, true, "db bad", nil, "after 0s, db reached, bad hopeless"},
		{"never asked for", GoalUp, true, "idle", nil, "after 0s, idle hopeless"},
		{"a oneshot that works", GoalUp, true, "setup", func(h *house) { h.k.ends(h.t, "setup", reap.ExitCode(0)) }, "after 0s, setup reached"},
		{"a oneshot that fails", GoalUp, true, "setup", func(h *house) { h.k.ends(h.t, "setup", reap.ExitCode(1)) }, "after 0s, setup hopeless"},
		{"a oneshot that was stopped", GoalUp, true, "setup", func(h *house) {
			h.k.ends(h.t, "setup", reap.ExitCode(0))
			h.ok(h.s.Stop("setup"))
		}, "after 0s, setup hopeless"},
		{"down, with what depends on it", GoalDown, true, "db", func(h *house) { h.ok(h.s.Stop("db")) }, "after 0s, db reached"},
		{"down is not blocked and about to start", GoalDown, false, "web", func(h *house) { h.ok(h.s.Stop("db")) }, "after 0s, web reached"},
		{"down counts no crash that heals", GoalDown, false, "db", func(h *house) { h.k.ends(h.t, "db", reap.ExitCode(1)) }, "after 10s, db not yet"},
		{"removed while waiting", GoalDown, false, "idle db", func(h *house) {
			_, err := h.reload("web", "setup oneshot")
			h.ok(err)
		}, "after 0s, idle reached, db reached"},
		{"removed while waiting for something else", GoalUp, false, "idle db", func(h *house) {
			_, err := h.reload("web", "setup oneshot")
			h.ok(err)
		}, "after 0s, idle unknown, db not yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inHouse(t, lines, func(h *house) {
				h.t = t
				answer := h.waiting(10*time.Second, tc.goal, tc.settle, strings.Fields(tc.names)...)
				if tc.do != nil {
					if got := answer(); got != "waiting" {
						t.Errorf("answered before anything happened: %s", got)
					}
					tc.do(h)
				}
				h.pass(11 * time.Second)
				if got := answer(); got != tc.want {
					t.Errorf("%s, want %s", got, tc.want)
				}
			})
		})
	}
}

// TestWaitForARestartAskedFor: the state from before the request is not the goal.
func TestWaitForARestartAskedFor(t *testing.T) {
	inHouse(t, []string{"db", "web requires=db"}, func(h *house) {
		was := h.s.Snapshot().Find("db").Run
		h.ok(h.s.Restart("db"))
		list, err := h.s.Wait(context.Background(), []string{"db"}, GoalUp, true)
		h.ok(err)
		if v := list[0].View; v.Run != was+1 || v.State.String() != "running" {
			t.Errorf("run %d is %s, it was run %d", v.Run, v.State, was)
		}
	})
}

func TestManyWaits(t *testing.T) {
	inHouse(t, []string{"web"}, func(h *house) {
		var answers []func() string
		for range 50 {
			answers = append(answers, h.waiting(time.Hour, "exited", false, "web"))
		}
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		for _, answer := range answers {
			if got := answer(); got != "after 0s, web reached" {
				t.Fatal(got)
			}
		}
	})
}

func TestGoals(t *testing.T) {
	for word, want := range map[string]bool{"up": true, "down": true, "running": true, "exited": true, "": false, "Up": false, "ready": false} {
		if goal, ok := ParseGoal(word); ok != want || ok && string(goal) != word {
			t.Errorf("%q: %q %v", word, goal, ok)
		}
	}
	if n := len(Goals()); n != 9 {
		t.Errorf("%d goals: %s", n, fmt.Sprint(Goals()))
	}
}

// TestReadersSeeTheirRequests while others keep the loop busy.
func TestReadersSeeTheirRequests(t *testing.T) {
	var lines, names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("s%d", i))
		lines = append(lines, names[i])
	}
	inHouse(t, lines, func(h *house) {
		const readers, rounds = 8, 30
		done := make(chan string, readers)
		for n := range readers {
			go func() {
				done <- h.reader(names[n], rounds)
			}()
		}
		for range readers {
			if text := <-done; text != "" {
				t.Error(text)
			}
		}
	})
}

// reader stops and starts a service of its own, and looks after each request.
func (h *house) reader(name string, rounds int) string {
	last := uint64(0)
	for n := range rounds {
		if err := h.s.Stop(name); err != nil {
			return err.Error()
		}
		snap := h.s.Snapshot()
		if v := snap.Find(name); v.Want {
			return fmt.Sprintf("%s: round %d: a stop that was answered is not seen: %s", name, n, v.State)
		}
		if snap.Version < last {
			return fmt.Sprintf("%s: the version falls from %d to %d", name, last, snap.Version)
		}
		last = snap.Version
		if err := h.s.Start(name, false); err != nil {
			return err.Error()
		}
		if v := h.s.Snapshot().Find(name); !v.Want {
			return fmt.Sprintf("%s: round %d: a start that was answered is not seen: %s", name, n, v.State)
		}
		for _, v := range snap.Views { // others change meanwhile; this one must not
			_ = v.State.String() + v.Reason
		}
		<-time.After(ms)
	}
	return ""
}

func TestSnapshots(t *testing.T) {
	inHouse(t, []string{"web requires=db after=log", "db", "log", "other conflicts=db status=stop"}, func(h *house) {
		snap := h.s.Snapshot()
		if again := h.s.Snapshot(); again != snap {
			t.Error("nothing has changed, and the snapshot is another one")
		}
		var order []string
		for _, v := range snap.StartOrder() {
			order = append(order, v.Name)
		}
		if got := strings.Join(order, " "); got != "db log other web" && got != "db log web other" {
			t.Errorf("the start order is %s", got)
		}
		var words []string
		for _, b := range snap.Uses("web") {
			words = append(words, b.Kind.String()+" "+b.View.Name)
		}
		if got := strings.Join(words, ", "); got != "requires db, after log" {
			t.Error(got)
		}
		if snap.Find("nope") != nil || snap.Uses("nope") != nil || snap.Blockers("nope") != nil {
			t.Error("something is known of what does not exist")
		}
		h.ok(h.s.Stop("db"))
		h.pass(10 * ms)
		if snap.Find("db").State.String() != "running" {
			t.Error("a snapshot changes after it was taken")
		}
		if now := h.s.Snapshot(); now.Find("db").State.String() != "exited" || now.Find("log") != snap.Find("log") {
			t.Error("views of what did not change are made anew")
		}
	})
}

// Who is told that a service runs and looks must see it run.
func TestWhatIsWaitedForCanBeSeen(t *testing.T) {
	inHouse(t, []string{"web status=stop"}, func(h *house) {
		seen := make(chan bool, 1)
		h.s.post(func(c *core) {
			c.wait(&waiter{names: []string{"web"}, goal: GoalUp, done: func([]Waited) { seen <- h.s.version.Load() == c.changes }})
		})
		h.ok(h.s.Start("web", false))
		h.pass(20 * ms)
		select {
		case ok := <-seen:
			if !ok {
				t.Error("who was told sees an older snapshot")
			}
		default:
			t.Error("nobody was told")
		}
	})
}

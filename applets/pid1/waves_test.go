package pid1

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
)

// orders in the form "a:15* b:9**", a star for the group, two for the cgroup.
func written(orders []order) string {
	var words []string
	for _, o := range orders {
		w := fmt.Sprintf("%s:%d", o.key, o.sig)
		w += strings.Repeat("*", int(o.scope))
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func children(keys ...string) []reap.Child {
	var list []reap.Child
	for i, k := range keys {
		list = append(list, reap.Child{Key: k, Run: 1, Pid: 100 + i})
	}
	return list
}

func TestWaves(t *testing.T) {
	plan := []reap.PlanStep{
		{Key: "web", Wave: 0, Signal: syscall.SIGQUIT, Timeout: 2000},
		{Key: "job", Wave: 0, Signal: term, Scope: reap.ScopeGroup, Timeout: 1000},
		{Key: "db", Wave: 1, Signal: intr, Timeout: 4000},
		{Key: "gone", Wave: 2, Signal: term, Timeout: 9000},
		{Key: "log", Wave: 5, Signal: term, Timeout: 0},
	}
	type turn struct {
		after time.Duration
		alive []reap.Child
		want  string        // the orders
		wake  time.Duration // 0 when it is over
	}
	cases := []struct {
		name  string
		plan  []reap.PlanStep
		endBy time.Duration
		story []turn
	}{
		{"nobody lives", plan, 60 * s, []turn{{0, nil, "", 0}}},
		{"each wave waits for the one before", plan, 60 * s, []turn{
			{0, children("db", "job", "web"), "job:15* web:3", s},
			{s / 2, children("db", "web"), "", 2 * s},
			{s, children("db"), "db:2", 5 * s},
			{s, nil, "", 0}}},
		{"what a service has instead of a main process is stopped like that", plan, 60 * s, []turn{
			{0, children("db/conn7", "job", "job/hook", "web/conn0", "other/conn0"), "job:15* job/hook:15* other/conn0:15* web/conn0:3", s},
			{s / 2, children("db/conn7"), "db/conn7:2", 4*s + s/2},
			{s, nil, "", 0}}},
		{"who does not stop in time is killed", plan, 60 * s, []turn{
			{0, children("db", "job", "web"), "job:15* web:3", s},
			{s, children("db", "job", "web"), "job:9**", 2 * s},
			{2 * s, children("db", "web"), "web:9**", 4 * s},
			{2 * s, children("db"), "db:2", 6 * s},
			{6 * s, children("db"), "db:9**", 8 * s},
			{7 * s, nil, "", 0}}},
		{"who cannot be killed is left behind", plan, 60 * s, []turn{
			{0, children("job", "db"), "job:15*", s},
			{s, children("job", "db"), "job:9**", 3 * s},
			{3 * s, children("job", "db"), "db:2", 7 * s},
			{4 * s, children("job"), "", 0}}},
		{"no time at all", plan, 60 * s, []turn{
			{0, children("log"), "log:15", 0 + 1},
			{0, children("log"), "log:9**", 2 * s}}},
		{"who is not in the plan goes first", plan, 60 * s, []turn{
			{0, children("db", "web", "new", "web/health"), "new:15* web:3 web/health:15*", 2 * s},
			{s, children("db"), "db:2", 5 * s}}},
		{"without a plan all go together", nil, 60 * s, []turn{
			{0, children("a", "b"), "a:15* b:15*", 10 * s},
			{10 * s, children("b"), "b:9**", 12 * s}}},
		{"a group whose leader is gone is signalled as a group", plan, 60 * s, []turn{
			{0, []reap.Child{{Key: "db", Run: 3, Group: true, MainGone: true}}, "db:2*", 4 * s}}},
		{"a cgroup is signalled as one", []reap.PlanStep{{Key: "db", Signal: intr, Scope: reap.ScopeCgroup, Timeout: 4000}}, 60 * s, []turn{
			{0, []reap.Child{{Key: "db", Run: 3, Group: true, MainGone: true}}, "db:2**", 4 * s}}},
		{"timeouts shrink to keep the end", plan, 3 * s, []turn{
			{0, children("db", "web"), "web:3", s},
			{s, children("db", "web"), "web:9**", 3 * s},
			{s, children("db"), "db:2", 3 * s}}},
		{"an end that has passed kills", plan, -s, []turn{
			{0, children("web"), "web:3", 1},
			{0, children("web"), "web:9**", 2 * s}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWaves(c.plan, c.story[0].alive, dawn, dawn.Add(c.endBy))
			for i, turn := range c.story {
				orders, _, wake, done := w.step(turn.alive, dawn.Add(turn.after))
				wantWake := dawn.Add(turn.wake)
				if turn.wake == 1 { // at once
					wantWake = dawn.Add(turn.after)
				}
				if written(orders) != turn.want || done != (turn.wake == 0) || !done && !wake.Equal(wantWake) {
					t.Fatalf("turn %d: got %q, wake %v, done %v; want %q, wake %v",
						i, written(orders), wake.Sub(dawn), done, turn.want, turn.wake)
				}
			}
		})
	}
}

func TestWavesSayWhoDidNotStop(t *testing.T) {
	w := newWaves([]reap.PlanStep{{Key: "web", Signal: term, Timeout: 1000}}, children("web"), dawn, dawn.Add(time.Minute))
	var notes []string
	for _, after := range []time.Duration{0, 1, 3} {
		_, n, _, _ := w.step(children("web"), dawn.Add(after*time.Second))
		notes = append(notes, n...)
	}
	want := []string{"web did not stop in time: killing it", "web cannot be killed: going on without it"}
	if !slices.Equal(notes, want) {
		t.Errorf("got %q, want %q", notes, want)
	}
}

func TestManyLongWavesAreScaledToTheEnd(t *testing.T) {
	var plan []reap.PlanStep
	var keys []string
	for i := range 1 << 14 {
		keys = append(keys, fmt.Sprintf("s%05d", i))
		plan = append(plan, reap.PlanStep{Key: keys[i], Wave: i, Signal: term, Timeout: math.MaxUint32})
	}
	w := newWaves(plan, children(keys...), dawn, dawn.Add(10*s))
	orders, _, wake, _ := w.step(children(keys...), dawn)
	if written(orders) != "s00000:15" || wake.Before(dawn) || wake.After(dawn.Add(s)) {
		t.Errorf("%s, wake after %v", written(orders), wake.Sub(dawn))
	}
}

// FuzzWaves stops stubborn services under any plan: each is signalled, then
// killed, and the whole of it ends.
func FuzzWaves(f *testing.F) {
	f.Add([]byte{0, 5, 1, 7, 1, 9, 4, 0}, uint16(10))
	f.Fuzz(func(t *testing.T, raw []byte, budget uint16) {
		var plan []reap.PlanStep
		var alive []reap.Child
		for i := 0; i+1 < len(raw) && i < 64; i += 2 {
			key := fmt.Sprint("s", i)
			plan = append(plan, reap.PlanStep{Key: key, Wave: int(raw[i] % 8), Signal: term, Timeout: uint32(raw[i+1]) * 100})
			alive = append(alive, reap.Child{Key: key, Run: 1})
		}
		w := newWaves(plan, alive, dawn, dawn.Add(time.Duration(budget)*time.Second))
		now, sent := dawn, map[string][]syscall.Signal{}
		for range 4*len(plan) + 2 {
			orders, _, wake, done := w.step(alive, now)
			for _, o := range orders {
				sent[o.key] = append(sent[o.key], o.sig)
			}
			if done {
				for _, s := range plan {
					if !slices.Equal(sent[s.Key], []syscall.Signal{term, syscall.SIGKILL}) {
						t.Fatalf("%s got %v", s.Key, sent[s.Key])
					}
				}
				return
			}
			if wake.Before(now) {
				t.Fatalf("woken in the past")
			}
			now = wake
		}
		t.Fatal("it does not end")
	})
}

package pid1

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
)

var dawn = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	term = syscall.SIGTERM
	intr = syscall.SIGINT
)

// at is an event at a moment after the beginning, and what is to come of it: the
// stage, and the actions, of which say is left out.
type at struct {
	after time.Duration
	event any
	stage stage
	want  []any
}

func does(actions ...any) []any { return actions }

// code is a server that exited before it was ready, killed one that was killed.
func code(n int) ended                  { return ended{status: reap.ExitCode(n)} }
func killed(ready, draining bool) ended { return ended{reap.KilledBy(9), ready, draining} }

// The beginnings of tales.
const (
	ms = time.Millisecond
	s  = time.Second
)

var (
	boots  = []at{{0, begun{}, boot, does(startServer{false})}, {0, started{5, false}, boot, nil}}
	serves = append(boots[:2:2], at{s, ready{}, serve, nil})
	// late: a shutdown begins while the second server is on its way.
	late = append(serves[:3:3],
		at{2 * s, killed(true, false), respawn, does(startServer{false})},
		at{2 * s, asked{term, 10 * s}, drain, does(refuseSpawns{}, tellServer{term})})

	crash  = ended{reap.KilledBy(11), true, false}
	done   = ended{reap.ExitCode(0), true, true}
	sweeps = does(refuseSpawns{}, killAll{})
	asks   = does(refuseSpawns{}, askAll{}) // as a machine does first
)

// A tale is a life in events.
type tale struct {
	name  string
	role  role
	story []at
}

func live(t *testing.T, tales []tale) {
	for _, c := range tales {
		t.Run(c.name, func(t *testing.T) {
			l := life{role: c.role, patience: patienceOf(c.role)}
			for i, e := range c.story {
				got := spoken(l.step(e.event, dawn.Add(e.after)))
				if l.stage != e.stage || !reflect.DeepEqual(got, e.want) {
					t.Fatalf("step %d, %T%+v:\n got %v %s\nwant %v %s",
						i, e.event, e.event, l.stage, show(got), e.stage, show(e.want))
				}
			}
		})
	}
}

// spoken is the actions without what is said.
func spoken(actions []any) []any {
	var rest []any
	for _, a := range actions {
		if _, ok := a.(say); !ok {
			rest = append(rest, a)
		}
	}
	return rest
}

func show(actions []any) string {
	var words []string
	for _, a := range actions {
		words = append(words, fmt.Sprintf("%T%+v", a, a))
	}
	return strings.Join(words, ", ")
}

func TestAServerIsStartedAndReplaced(t *testing.T) {
	live(t, []tale{
		{"the first server's code before it is ready is the keeper's", standalone, append(boots[:2:2],
			at{s, code(7), sweep, sweeps},
			at{s, emptied{}, halt, does(finish{exit, 7})})},
		{"a first server that was killed is replaced", standalone, append(boots[:2:2],
			at{s, killed(false, false), respawn, nil},
			at{s + 99*ms, ticked{}, respawn, nil},
			at{s + 100*ms, ticked{}, respawn, does(startServer{false})},
			at{s + 100*ms, started{6, false}, respawn, nil},
			at{2 * s, code(7), respawn, nil},
			at{2*s + 199*ms, ticked{}, respawn, nil},
			at{2*s + 200*ms, ticked{}, respawn, does(startServer{false})})},
		{"the back-off begins anew after a server that was ready", standalone, append(boots[:2:2],
			at{s, killed(false, false), respawn, nil},
			at{2 * s, ticked{}, respawn, does(startServer{false})},
			at{2 * s, started{6, false}, respawn, nil},
			at{3 * s, ready{}, serve, nil},
			at{3 * s, killed(true, false), respawn, does(startServer{false})},
			at{3 * s, started{7, false}, respawn, nil},
			at{4 * s, code(1), respawn, nil},
			at{4*s + 100*ms, ticked{}, respawn, does(startServer{false})})},
		{"a server that was ready is replaced at once, whatever its code", standalone, append(serves[:3:3],
			at{2 * s, ended{reap.ExitCode(0), true, false}, respawn, does(startServer{false})},
			at{2 * s, started{6, false}, respawn, nil},
			at{3 * s, ready{}, serve, nil})},
		{"one that ends at once after it was ready waits from the second time on", standalone, append(serves[:3:3],
			at{s + 100*ms, crash, respawn, does(startServer{false})},
			at{s + 100*ms, started{6, false}, respawn, nil},
			at{s + 200*ms, ready{}, serve, nil},
			at{s + 300*ms, crash, respawn, nil},
			at{s + 399*ms, ticked{}, respawn, nil},
			at{s + 400*ms, ticked{}, respawn, does(startServer{false})},
			at{s + 400*ms, started{7, false}, respawn, nil},
			at{2 * s, ready{}, serve, nil},
			at{2 * s, crash, respawn, nil},
			at{2*s + 199*ms, ticked{}, respawn, nil},
			at{2*s + 200*ms, ticked{}, respawn, does(startServer{false})},
			at{2*s + 200*ms, started{8, false}, respawn, nil},
			at{3 * s, ready{}, serve, nil},
			at{4 * s, crash, respawn, does(startServer{false})},
			at{4 * s, started{9, false}, respawn, nil},
			at{4 * s, code(1), respawn, nil},
			at{4*s + 100*ms, ticked{}, respawn, does(startServer{false})})},
		{"but never one that is killed", standalone, slices.Concat(serves[:3:3], slices.Repeat([]at{
			{2 * s, killed(true, false), respawn, does(startServer{false})},
			{2 * s, started{6, false}, respawn, nil},
			{2 * s, ready{}, serve, nil}}, 20))},
		{"process 1 of a container replaces the first server too", container, append(boots[:2:2],
			at{s, code(7), respawn, nil})},
		{"a server that cannot be forked ends a standalone keeper", standalone, []at{
			{0, begun{}, boot, does(startServer{false})},
			{0, notStarted{errors.New("no")}, sweep, sweeps},
			{0, emptied{}, halt, does(finish{exit, 1})}}},
		{"and is tried again by process 1", machine, []at{
			{0, begun{}, boot, does(startServer{false})},
			{0, notStarted{errors.New("no")}, respawn, nil},
			{100 * ms, ticked{}, respawn, does(startServer{false})},
			{100 * ms, notStarted{errors.New("no")}, respawn, nil},
			{299 * ms, ticked{}, respawn, nil},
			{300 * ms, ticked{}, respawn, does(startServer{false})}}},
	})
}

func TestASoftRestartIsNoFailure(t *testing.T) {
	usr1 := asked{syscall.SIGUSR1, 0}
	live(t, []tale{
		{"the server ends when it is asked, and the next one starts at once", standalone, append(serves[:3:3],
			at{2 * s, usr1, serve, does(endServer{})},
			at{2 * s, usr1, serve, nil},
			at{3 * s, ended{reap.ExitCode(0), true, false}, respawn, does(startServer{false})},
			at{3 * s, started{6, false}, respawn, nil},
			at{4 * s, ticked{}, respawn, nil},
			at{4 * s, ready{}, serve, nil},
			at{9 * s, ticked{}, serve, nil})},
		{"it is killed when it does not end", standalone, append(serves[:3:3],
			at{2 * s, usr1, serve, does(endServer{})},
			at{2*s + 4999*ms, ticked{}, serve, nil},
			at{7 * s, ticked{}, serve, does(killServer{})},
			at{9 * s, ticked{}, serve, nil},
			at{9 * s, killed(true, false), respawn, does(startServer{false})})},
		{"one that was not ready counts as little", standalone, append(boots[:2:2],
			at{s, usr1, boot, does(endServer{})},
			at{s, code(7), respawn, does(startServer{false})},
			at{s, started{6, false}, respawn, nil},
			at{2 * s, code(7), respawn, nil},
			at{2*s + 100*ms, ticked{}, respawn, does(startServer{false})})},
		{"one that is on its way is replaced too: it may be of the old file", standalone, []at{
			{0, begun{}, boot, does(startServer{false})},
			{s, usr1, boot, nil},
			{2 * s, started{5, false}, boot, does(endServer{})},
			{3 * s, ended{reap.ExitCode(0), true, false}, respawn, does(startServer{false})}}},
		{"unless it does not come", container, []at{
			{0, begun{}, boot, does(startServer{false})},
			{s, usr1, boot, nil},
			{2 * s, notStarted{errors.New("no")}, respawn, nil},
			{3 * s, ticked{}, respawn, does(startServer{false})},
			{3 * s, started{5, false}, respawn, nil}}},
		{"it ends the wait for the next attempt, and leaves the back-off as it is", standalone, append(boots[:2:2],
			at{s, killed(false, false), respawn, nil},
			at{s, usr1, respawn, does(startServer{false})},
			at{s, started{6, false}, respawn, nil},
			at{2 * s, code(7), respawn, nil},
			at{2*s + 199*ms, ticked{}, respawn, nil},
			at{2*s + 200*ms, ticked{}, respawn, does(startServer{false})})},
		{"a shutdown comes first", standalone, append(serves[:3:3],
			at{2 * s, usr1, serve, does(endServer{})},
			at{2 * s, asked{term, 10 * s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{2 * s, usr1, drain, nil},
			at{2 * s, ended{reap.ExitCode(0), true, false}, drain, does(refuseSpawns{}, stopServices{dawn.Add(19 * s)})})},
	})
}

func TestAKeeperBecomesAnotherProgram(t *testing.T) {
	late := errors.New("it did not answer")
	no := func(why string) []any { return does(refuse{why}) }
	live(t, []tale{
		{"after it was tried", standalone, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{2 * s, replaceWanted{}, serve, nil},
			at{3 * s, rehearsed{}, serve, does(execute{})})},
		{"not if it cannot take over; then it may be asked again", standalone, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, rehearsed{late}, serve, no("it did not answer")},
			at{4 * s, replaceWanted{}, serve, does(rehearse{})})},
		{"an exec that fails is no end", machine, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, rehearsed{}, serve, does(execute{})},
			at{3 * s, refused{late}, serve, no("it did not answer")},
			at{4 * s, replaceWanted{}, serve, does(rehearse{})})},
		{"a server that is on its way comes first", container, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, killed(true, false), respawn, does(startServer{false})},
			at{3 * s, rehearsed{}, respawn, nil},
			at{4 * s, replaceWanted{}, respawn, nil},
			at{5 * s, started{6, false}, respawn, does(execute{})})},
		{"or one that does not come", container, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, killed(true, false), respawn, does(startServer{false})},
			at{3 * s, rehearsed{}, respawn, nil},
			at{5 * s, notStarted{late}, respawn, does(execute{})})},
		{"and the one that is to end is asked before", container, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, killed(true, false), respawn, does(startServer{false})},
			at{3 * s, asked{syscall.SIGUSR1, 0}, respawn, nil},
			at{3 * s, rehearsed{}, respawn, nil},
			at{5 * s, started{6, false}, respawn, does(endServer{}, execute{})})},
		{"not in a shutdown", standalone, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, rehearsed{}, drain, no("a shutdown is under way")},
			at{3 * s, replaceWanted{}, drain, no("a shutdown is under way")})},
		{"nor when one begins while it waits for a server", standalone, append(serves[:3:3],
			at{2 * s, replaceWanted{}, serve, does(rehearse{})},
			at{3 * s, killed(true, false), respawn, does(startServer{false})},
			at{3 * s, rehearsed{}, respawn, nil},
			at{3 * s, asked{term, s}, drain, does(refuseSpawns{}, tellServer{term})},
			at{5 * s, started{6, false}, drain, no("a shutdown is under way")})},
	})
}

func TestALifeGoesOnInAnotherProgram(t *testing.T) {
	lives := []life{
		{},
		{role: standalone, stage: boot, running: true, first: true},
		{role: container, stage: serve, running: true, soft: true, softBy: dawn.Add(3 * s)},
		{role: machine, stage: respawn, delay: 400 * ms, startAt: dawn.Add(100 * ms)},
		{role: machine, stage: respawn, delay: lastDelay, startAt: dawn.Add(-s)},
	}
	for _, l := range lives {
		notes := l.notes(dawn)
		notes["news"] = "of tomorrow"
		got, err := lifeOf(notes, dawn.Add(time.Hour))
		if err != nil {
			t.Errorf("%+v: %v", l, err)
		}
		for _, at := range []*time.Time{&l.startAt, &l.softBy} {
			if !at.IsZero() {
				*at = at.Add(time.Hour) // as long from now as it was then
			}
		}
		if got != l {
			t.Errorf("%+v became %+v", l, got)
		}
	}
	if got, err := lifeOf(nil, dawn); err != nil || got != (life{}) {
		t.Errorf("of nothing: %+v, %v", got, err)
	}
	for name, value := range map[string]string{noteStage: "drain", noteRole: "king", noteDelay: "long", noteRunning: "1", noteSoftIn: "soon"} {
		if _, err := lifeOf(map[string]string{name: value}, dawn); err == nil {
			t.Errorf("%s %s is understood", name, value)
		}
	}
}

func TestAStartThatHangsHoldsNothingUp(t *testing.T) {
	live(t, []tale{
		{"signals are handed on while a server starts", standalone, []at{
			{0, begun{}, boot, does(startServer{false})},
			{s, asked{syscall.SIGHUP, 0}, boot, does(tellServer{syscall.SIGHUP})},
			{10 * s, ticked{}, boot, nil}, // that it takes long is told
			{60 * s, ticked{}, boot, nil},
			{61 * s, started{5, false}, boot, nil},
			{62 * s, ready{}, serve, nil}}},
		{"at most one server starts at a time", standalone, append(serves[:3:3],
			at{2 * s, killed(true, false), respawn, does(startServer{false})},
			at{12 * s, ticked{}, respawn, nil},
			at{99 * s, ticked{}, respawn, nil},
			at{99 * s, notStarted{errors.New("no")}, respawn, nil},
			at{99*s + 100*ms, ticked{}, respawn, does(startServer{false})},
			at{99*s + 200*ms, ticked{}, respawn, nil})},
		{"a server that comes up early in a shutdown carries it out", standalone, append(late[:5:5],
			at{3 * s, started{6, false}, drain, nil},
			at{3 * s, draining{10 * s, 0}, drain, nil},
			at{9 * s, done, sweep, sweeps})},
		{"one that comes up after the keeper took over is killed", standalone, append(late[:5:5],
			at{6 * s, ticked{}, drain, nil},
			at{7 * s, ticked{}, drain, does(refuseSpawns{}, stopServices{dawn.Add(19 * s)})},
			at{8 * s, started{6, false}, drain, does(killServer{})},
			at{8 * s, killed(false, false), drain, nil},
			at{9 * s, emptied{}, sweep, sweeps})},
		{"so is one that comes up in the sweep", standalone, append(late[:5:5],
			at{7 * s, ticked{}, drain, does(refuseSpawns{}, stopServices{dawn.Add(19 * s)})},
			at{8 * s, emptied{}, sweep, sweeps},
			at{8 * s, started{6, false}, sweep, does(killServer{})},
			at{11 * s, ticked{}, halt, does(finish{exit, 0})})},
		{"one that cannot be started leaves the shutdown to the keeper", standalone, append(late[:5:5],
			at{3 * s, notStarted{errors.New("no")}, drain, does(refuseSpawns{}, stopServices{dawn.Add(19 * s)})},
			at{9 * s, emptied{}, sweep, sweeps})},
		{"a start that hangs for ever does not hold up the end", container, append(late[:5:5],
			at{4 * s, ticked{}, drain, does(refuseSpawns{}, stopServices{dawn.Add(10 * s)})},
			at{10 * s, emptied{}, sweep, sweeps},
			at{11 * s, ticked{}, halt, does(finish{exit, 0})})},
	})
}

func TestTheBackOffIsLimited(t *testing.T) {
	l := life{role: machine, patience: patienceOf(machine)}
	now := dawn
	l.step(begun{}, now)
	for range 20 {
		l.step(started{5, false}, now)
		l.step(code(1), now)
		if wait := l.deadline().Sub(now); wait < firstDelay || wait > lastDelay {
			t.Fatalf("a delay of %v", wait)
		}
		now = l.deadline()
		l.step(ticked{}, now)
	}
	if l.delay != lastDelay {
		t.Errorf("the delay ends at %v, not %v", l.delay, lastDelay)
	}
}

// FuzzLife feeds any events in any order: once a shutdown has begun it ends,
// within the time that was fixed at its beginning.
func FuzzLife(f *testing.F) {
	f.Add(uint8(0), []byte{0, 1, 2, 8, 6, 5, 10, 10})
	f.Add(uint8(2), []byte{0, 1, 7, 9, 9, 9})
	f.Fuzz(func(t *testing.T, r uint8, events []byte) {
		l := life{role: role(r % 3), patience: patienceOf(role(r % 3))}
		now := dawn
		var end time.Time
		starts := 0
		for _, b := range events {
			now = now.Add(time.Duration(b>>4) * 100 * time.Millisecond)
			all := []any{begun{}, asked{firstRealTime + 3, time.Second}, started{5, false}, started{5, true}, ready{}, code(3), killed(true, false), ended{reap.ExitCode(0), true, true},
				draining{time.Second, 3}, asked{term, time.Second}, asked{intr, time.Second}, ticked{}, emptied{}, asked{syscall.SIGUSR1, 0}, replaceWanted{}, rehearsed{}, refused{errors.New("no")}, notStarted{errors.New("no")}}
			before, event := l.stage, all[int(b)%len(all)]
			switch event.(type) {
			case started, notStarted:
				starts = 0
			}
			for _, a := range l.step(event, now) {
				if _, ok := a.(startServer); ok {
					starts++
				}
			}
			if l.trial.on && !l.soft && !l.starting && l.stage < drain && l.deadline().IsZero() {
				t.Fatalf("on trial for ever: %+v", l)
			}
			if starts > 1 {
				t.Fatalf("%d servers are started at once", starts)
			}
			if before >= drain && l.stage < before {
				t.Fatalf("back from %v to %v", before, l.stage)
			}
			if before < drain && l.stage == drain {
				end = l.endBy
			}
			if !end.IsZero() && l.endBy != end {
				t.Fatalf("the end moved from %v to %v", end, l.endBy)
			}
		}
		if l.stage != drain {
			return
		}
		for l.stage != halt {
			due := l.deadline()
			if due.IsZero() {
				l.step(emptied{}, now) // the waves have their own end
				continue
			}
			if due.After(end) && l.stage == drain {
				t.Fatalf("due at %v, after the end at %v", due, end)
			}
			now = due
			l.step(ticked{}, now)
		}
	})
}

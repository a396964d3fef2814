package pid1

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/applets/env"
)

// Every signal to a keeper, by its number, and what it means: none has two meanings,
// and what is not here means nothing.
func TestEverySignalToTheKeeperHasOneMeaning(t *testing.T) {
	type means map[syscall.Signal]meaning
	always := means{1: aReload, 2: anEnd, 12: anotherKeeper, 15: anEnd, 43: anotherServer}
	ofMachine := means{30: anEnd, 37: anEnd, 38: anEnd, 39: anEnd, 40: anEnd, 42: anEnd}
	ofContainer := means{30: anEnd, 37: anEnd, 38: anEnd, 39: anEnd, 40: anEnd}
	for _, c := range []struct {
		role    role
		reports bool
		more    []means
	}{
		{machine, false, []means{ofMachine, {10: anotherServer}}},
		{machine, true, []means{ofMachine, {10: aReport}}},
		{container, false, []means{ofContainer, {10: anotherServer}}},
		{container, true, []means{ofContainer, {10: aReport}}},
		{standalone, false, []means{{10: anotherServer}}},
		{standalone, true, []means{{10: aReport}}},
	} {
		want := means{}
		for _, part := range append(c.more, always) {
			for sig, m := range part {
				if _, twice := want[sig]; twice {
					t.Fatalf("signal %d stands here twice", sig)
				}
				want[sig] = m
			}
		}
		for sig := syscall.Signal(-1); sig <= lastSignal+1; sig++ {
			if got := meaningOf(sig, c.role, c.reports); got != want[sig] {
				t.Errorf("role %d, reports %v, signal %d: %d, want %d", c.role, c.reports, sig, got, want[sig])
			}
		}
	}
	taken := []syscall.Signal{env.ReplaceSignal, unix.SIGUSR1, unix.SIGUSR2, unix.SIGHUP}
	for _, w := range wishes {
		if slices.Contains(taken, w.sig) {
			t.Errorf("signal %d is for two things", w.sig)
		}
		taken = append(taken, w.sig)
	}
}

func TestSignalsAskForAnEnd(t *testing.T) {
	rt := func(n syscall.Signal) syscall.Signal { return firstRealTime + n }
	all := map[syscall.Signal]goal{
		unix.SIGTERM: powerOff, unix.SIGINT: reboot, unix.SIGPWR: powerOff,
		rt(3): halted, rt(4): powerOff, rt(5): reboot, rt(6): kexec, switchSignal: switchRoot,
	}
	for sig := syscall.Signal(1); sig <= lastSignal; sig++ {
		want, ends := all[sig]
		if g, ok := goalOf(sig, machine); ok != ends || ok && g != want {
			t.Errorf("machine, signal %d: %v %v", sig, g, ok)
		}
		if g, ok := goalOf(sig, container); ok != (ends && sig != switchSignal) || g != exit {
			t.Errorf("container, signal %d: %v %v", sig, g, ok)
		}
		if g, ok := goalOf(sig, standalone); ok != (sig == unix.SIGTERM || sig == unix.SIGINT) || g != exit {
			t.Errorf("standalone, signal %d: %v %v", sig, g, ok)
		}
	}
	for g := exit; g <= switchRoot; g++ {
		if g.String() == "" {
			t.Errorf("goal %d has no name", g)
		}
	}
}

func TestAMachineEndsInSteps(t *testing.T) {
	pwr, halt4 := asked{unix.SIGPWR, s}, asked{firstRealTime + 3, s}
	ending := append(serves[:3:3],
		at{2 * s, halt4, drain, does(refuseSpawns{}, tellServer{term})},
		at{2 * s, pwr, drain, nil}, // the first counts
		at{2 * s, draining{s, 0}, drain, nil},
		at{3 * s, done, sweep, asks})
	n := len(ending)
	live(t, []tale{
		{"what is left is asked, and heeds", machine, append(ending[:n:n],
			at{4 * s, emptied{}, halt, does(finish{halted, 0})})},
		{"or is killed", machine, append(ending[:n:n],
			at{5*s - ms, ticked{}, sweep, nil},
			at{5 * s, ticked{}, sweep, does(killAll{})},
			at{5*s + ms, emptied{}, halt, does(finish{halted, 0})})},
		{"and what lives on is left behind", machine, append(ending[:n:n],
			at{5 * s, ticked{}, sweep, does(killAll{})},
			at{8*s - ms, ticked{}, sweep, nil},
			at{8 * s, ticked{}, halt, does(finish{halted, 0})})},
		{"in a container nobody is asked", container, append(serves[:3:3],
			at{2 * s, pwr, drain, does(refuseSpawns{}, tellServer{term})},
			at{2 * s, draining{s, 0}, drain, nil},
			at{3 * s, done, sweep, sweeps})},
	})
}

// Whoever sits at a machine without a server gets a shell, and another one if that ends
// while there is none. Why is said once, and again after a server was there.
func TestAMachineWithoutAServerOffersAShell(t *testing.T) {
	for _, r := range []role{standalone, container, machine} {
		l := life{role: r, patience: patienceOf(r)}
		now := dawn
		fail := func(times int) (offers, said int) {
			for range times {
				l.step(started{5, false}, now)
				does := l.step(killed(false, false), now)
				if slices.Contains(does, any(offerShell{})) {
					offers++
				}
				if slices.ContainsFunc(does, func(a any) bool {
					s, ok := a.(say)
					return ok && strings.HasPrefix(s.text, "no server comes up")
				}) {
					said++
				}
				now = l.deadline()
				l.step(ticked{}, now)
			}
			return offers, said
		}
		l.step(begun{}, now)
		want, once := 0, 0
		if r == machine {
			want, once = 20, 1
		}
		if n, _ := fail(hopeless - 1); n != 0 {
			t.Errorf("role %d: offered too early", r)
		}
		if n, said := fail(20); n != want || said != once {
			t.Errorf("role %d: offered %d times, said %d times", r, n, said)
		}
		l.step(started{5, false}, now)
		l.step(ready{}, now)
		now = now.Add(time.Hour)
		l.step(killed(true, false), now)
		if n, said := fail(hopeless + 19); n != want || said != once {
			t.Errorf("role %d, later: offered %d times, said %d times", r, n, said)
		}
	}
}

func TestTheEndIsWithinWhatIsSaid(t *testing.T) {
	for _, r := range []role{container, machine} {
		l := life{role: r, patience: patienceOf(r), running: true}
		l.step(asked{term, 10 * s}, dawn)
		said, now := l.end(), dawn
		for l.stage != halt {
			if l.deadline().IsZero() { // the waves end by then
				now = l.endBy
				l.step(emptied{}, now)
				continue
			}
			now = l.deadline()
			l.step(ticked{}, now)
		}
		if now.After(said) {
			t.Errorf("role %d: said %v, took %v", r, said.Sub(dawn), now.Sub(dawn))
		}
	}
	if got := length(time.Duration(1<<63 - 1)); !strings.HasPrefix(got, "as long") {
		t.Errorf("endless is %s", got)
	}
	if got := length(-s); got != "0s" {
		t.Errorf("what has passed is %s", got)
	}
}

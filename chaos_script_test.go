package main_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"time"

	"zinit/sock"
)

// A chaosActor does with one service what its script says. It belongs to one
// goroutine.
type chaosActor struct {
	c        *chaos
	s        chaosService
	rng      *rand.Rand
	ctx      context.Context // over when the script is; what was begun is completed
	client   *sock.Client
	diary    diary
	restarts int64 // that the policy made
	again    int   // how often the last order was sent once more
}

func newChaosActor(c *chaos, s chaosService, rng *rand.Rand, ctx context.Context) *chaosActor {
	return &chaosActor{c: c, s: s, rng: rng, ctx: ctx, client: c.dial(),
		diary: diary{path: filepath.Join(c.room, s.name+".diary")}}
}

// over reports that the script is.
func (a *chaosActor) over() bool { return a.ctx.Err() != nil || a.c.t.Failed() }

func (a *chaosActor) errorf(format string, args ...any) {
	a.c.t.Errorf("%s %s, life %d: %s", time.Now().UTC().Format("15:04:05.000"), a.s.name, a.diary.begun(), fmt.Sprintf(format, args...))
}

// order has a call carried out, however many servers that takes.
func (a *chaosActor) order(what string, call func(ctx context.Context) error) bool {
	ctx, cancel := context.WithTimeout(a.c.t.Context(), patience)
	defer cancel()
	for a.again = 0; ; a.again++ {
		err := call(ctx)
		var refused *sock.Error
		switch {
		case err == nil:
			a.c.count("orders", 1)
			return true
		case ctx.Err() != nil:
			a.errorf("%s: %v", what, err)
			return false
		case errors.As(err, &refused) && refused.Word() == sock.WordShuttingDown:
			a.c.count("orders refused by a server that left", 1)
		case errors.As(err, &refused):
			a.errorf("%s: %v", what, err)
			return false
		default:
			a.c.count("orders cut off and sent again", 1)
		}
	}
}

func (a *chaosActor) start() bool {
	return a.order("start", func(ctx context.Context) error { return a.client.Start(ctx, a.s.name, sock.StartOptions{}) })
}

func (a *chaosActor) stop() bool {
	return a.order("stop", func(ctx context.Context) error { return a.client.Stop(ctx, a.s.name) })
}

// wait waits for a goal of the service.
func (a *chaosActor) wait(goal string) bool {
	return a.order("wait for "+goal, func(ctx context.Context) error {
		r, err := a.client.Wait(ctx, []string{a.s.name}, goal, sock.WaitOptions{})
		if err == nil && !r.Reached {
			return fmt.Errorf("it ended without: %+v", r)
		}
		return err
	})
}

// status is the service as a server sees it.
func (a *chaosActor) status() (s sock.ServiceStatus, ok bool) {
	ok = a.order("status", func(ctx context.Context) (err error) {
		s, err = a.client.Status(ctx, a.s.name)
		return err
	})
	return s, ok
}

// until waits for something in the diary.
func (a *chaosActor) until(what string, so func() bool) bool {
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for {
		if err := a.diary.read(); err != nil {
			a.errorf("%v", err)
			return false
		}
		if so() {
			return true
		}
		select {
		case <-again.C:
		case <-late:
			s, _ := a.status()
			a.errorf("waited in vain for %s; it is %+v", what, s)
			return false
		}
	}
}

// lived waits until that many lives have begun and the last of them is what the
// server says it is; more than most is one too many.
func (a *chaosActor) lived(least, most int) bool {
	if !a.until(fmt.Sprintf("life %d", least), func() bool { return a.diary.begun() >= least }) || !a.wait(sock.Running) {
		return false
	}
	s, ok := a.status()
	if !ok {
		return false
	}
	if !a.until(fmt.Sprintf("the life that the server sees: %+v", s), func() bool { return a.diary.last().pid == s.PID || a.diary.begun() > most }) {
		return false
	}
	if n := a.diary.begun(); n > most {
		a.errorf("there were %d lives, want %d to %d; it is %+v", n, least, most, s)
		return false
	}
	if a.diary.last().ended {
		a.errorf("it runs as %d, which has ended: %+v", s.PID, a.diary.last())
		return false
	}
	return true
}

// same fails when a life ended or began since there were n.
func (a *chaosActor) same(n int, ended bool, when string) bool {
	if err := a.diary.read(); err != nil {
		a.errorf("%v", err)
		return false
	}
	if a.diary.begun() != n || a.diary.last().ended && !ended {
		a.errorf("%s: there were %d lives, now %d: %+v", when, n, a.diary.begun(), a.diary.last())
		return false
	}
	return true
}

// counted fails when the server counts other restarts than there were.
func (a *chaosActor) counted(when string) bool {
	s, ok := a.status()
	if ok && s.Restarts != a.restarts {
		a.errorf("%s: the server counts %d restarts, there were %d: %+v", when, s.Restarts, a.restarts, s)
		return false
	}
	return ok
}

// pause lets the script rest for up to so many milliseconds.
func (a *chaosActor) pause(ms int) {
	chaosPause(a.ctx, time.Duration(a.rng.IntN(ms*1000))*time.Microsecond)
}

// killIt kills the main process, which is to run.
func (a *chaosActor) killIt() bool {
	if err := signalChild(a.c.keeperPID(), a.diary.last().pid, syscall.SIGKILL); err != nil {
		a.errorf("cannot kill it: %v", err)
		return false
	}
	a.c.count("services killed -9", 1)
	a.restarts++
	return true
}

// stroll does little, so that the service has time to write.
func (a *chaosActor) stroll() {
	a.walk(2000, "kill", "restart", "stop and start", "nothing", "nothing")
}

// wander does all there is.
func (a *chaosActor) wander() {
	a.walk(120, "stop", "stop and start", "restart", "kill", "kill and stop", "nothing")
}

// walk makes random steps until the script is over. The service runs before each,
// and after.
func (a *chaosActor) walk(ms int, steps ...string) {
	for ok := a.lived(1, 1); ok && !a.over(); {
		a.pause(ms)
		n := a.diary.begun()
		if ok = a.same(n, false, "at rest"); !ok {
			return
		}
		step := steps[a.rng.IntN(len(steps))]
		switch step {
		case "stop":
			ok = a.stop() && a.wait(sock.GoalDown) && a.staysDown(n, ms) && a.start() && a.lived(n+1, n+1)
		case "stop and start":
			ok = a.stop() && a.start() && a.lived(n+1, n+1)
		case "restart":
			ok = a.order("restart", func(ctx context.Context) error { return a.client.Restart(ctx, a.s.name) }) && a.lived(n+1, n+1+a.again)
		case "kill":
			ok = a.killIt() && a.lived(n+1, n+1)
		case "kill and stop":
			ok = a.killAndStop(ms)
		}
		ok = ok && a.counted(step)
	}
}

// staysDown fails when a service that was stopped comes up.
func (a *chaosActor) staysDown(n, ms int) bool {
	a.pause(ms)
	s, ok := a.status()
	if ok && (s.State != sock.Exited || s.PID != 0) {
		a.errorf("it was stopped, and it is %+v", s)
		return false
	}
	return ok && a.same(n, true, "stopped")
}

// killAndStop stops a service that is about to come back, or has just come back.
func (a *chaosActor) killAndStop(ms int) bool {
	if !a.killIt() || !a.stop() || !a.wait(sock.GoalDown) {
		return false
	}
	s, ok := a.status()
	if !ok || a.diary.read() != nil {
		return false
	}
	if s.Restarts == a.restarts-1 {
		a.restarts-- // the stop came first
	}
	n := a.diary.begun() // it may have come back in between
	a.pause(ms)
	return a.same(n, true, "killed and stopped") && a.start() && a.lived(n+1, n+1)
}

// urge starts a service again whenever it has ended with code 0; after other ends
// it must come back by itself.
func (a *chaosActor) urge() {
	for !a.over() {
		ended := func() bool { return a.over() || a.diary.last().ended && a.diary.last().how == 0 }
		if !a.until("an end with code 0", ended) || a.over() {
			return
		}
		n := a.diary.begun()
		if !a.wait(sock.Exited) || !a.until("what it is", func() bool { return true }) {
			return
		}
		if a.diary.begun() > n {
			continue // of a start that was sent again
		}
		s, ok := a.status()
		if ok && (s.State != sock.Exited || s.ExitCode == nil || *s.ExitCode != 0) {
			a.errorf("it ended with code 0, and it is %+v", s)
			return
		}
		a.pause(100)
		if !ok || !a.same(n, true, "after code 0") || !a.start() || !a.until("the next life", func() bool { return a.diary.begun() > n }) {
			return
		}
	}
}

// repeat starts a service again whenever it has ended, and looks whether the server
// knows how.
func (a *chaosActor) repeat() {
	for !a.over() {
		ended := func() bool { return a.over() || a.diary.last().ended }
		if !a.until("an end", ended) || a.over() || !a.wait(sock.GoalDown) || !a.until("its end", func() bool { return true }) {
			return
		}
		n := a.diary.begun() // with a start that was sent again there were two lives
		how := a.diary.last().how
		want, state := fmt.Sprintf("exit code %d", how), sock.Failed
		if how < 0 {
			want = fmt.Sprintf("killed by signal %d", -how)
		}
		if how == 0 {
			state = sock.Exited
		}
		s, ok := a.status()
		if ok && (s.State != state || s.Reason != want) {
			a.errorf("it ended with %s, and it is %+v", want, s)
			return
		}
		a.c.count("exit statuses asked for", 1)
		a.pause(60)
		if !ok || !a.same(n, true, "ended") || !a.start() || !a.until("the next life", func() bool { return a.diary.begun() > n }) {
			return
		}
	}
}

// lead is wander for a service that another one requires, which goes down with it
// and comes back with it.
func (a *chaosActor) lead() {
	other := newChaosActor(a.c, chaosService{name: "on-base"}, a.rng, a.ctx)
	defer other.client.Close()
	for ok := a.lived(1, 1) && other.lived(1, 1); ok && !a.over(); {
		a.pause(100)
		n, m := a.diary.begun(), other.diary.begun()
		if !a.same(n, false, "at rest") || !other.same(m, false, "at rest") {
			return
		}
		switch a.rng.IntN(3) {
		case 0:
			ok = a.stop() && a.wait(sock.GoalDown) && a.staysDown(n, 50) && other.same(m, true, "while base is stopped") &&
				a.start() && a.lived(n+1, n+1) && other.lived(m+1, m+1)
		case 1:
			ok = a.order("restart", func(ctx context.Context) error { return a.client.Restart(ctx, a.s.name) })
			again := a.again // before lived asks, which is an order, too
			ok = ok && a.lived(n+1, n+1+again) && other.lived(m+1, m+1+again)
		case 2:
			ok = a.killIt() && a.lived(n+1, n+1) && other.same(m, false, "while base came back")
		}
		ok = ok && a.counted("base") && other.counted("on-base")
	}
}

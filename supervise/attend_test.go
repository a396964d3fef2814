package supervise

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// calls has somebody connect to a service.
func (h *house) calls(name, peer string) {
	h.t.Helper()
	h.ok(h.s.Attend(name, from(peer)))
	h.pass(5 * ms)
}

// echoLine is a service that is given each connection.
const echoLine = "echo accept=9"

// attended is a house that remembers, in which somebody has connected to echo.
func attended(t *testing.T, line string, peers ...string) *house {
	t.Helper()
	h := remembering(t)
	h.boot(services(t, line), h.k.inventory())
	h.pass(10 * ms)
	for _, peer := range peers {
		h.calls("echo", peer)
	}
	return h
}

// from is somebody who waits to be accepted.
func from(peer string) func() (Caller, error) {
	return func() (Caller, error) { return Caller{Peer: peer, Env: []string{"LISTEN_FDS=1"}}, nil }
}

// nobody must not be asked for who waits.
func (h *house) nobody() (Caller, error) {
	h.t.Error("somebody is accepted who cannot be attended to")
	return Caller{}, errors.New("nobody is there")
}

// connected checks who is connected to a service, and how many there were so far.
func (h *house) connected(name string, total uint64, want ...string) {
	h.t.Helper()
	v := h.s.Snapshot().Find(name)
	var peers []string
	for _, c := range v.Connections {
		if c.Pid == 0 || c.Since.IsZero() {
			h.t.Errorf("of %s it is known %+v", c.Peer, c)
		}
		peers = append(peers, c.Peer)
	}
	if !slices.Equal(peers, want) || v.Called != total {
		h.t.Errorf("after %s: %q of %d are connected, want %q of %d", time.Since(h.begun), peers, v.Called, want, total)
	}
}

// room checks how many more may come.
func (h *house) room(name string, want int) {
	h.t.Helper()
	h.s.ask(func(c *core) {
		r := c.byName[name]
		if n := r.ran.MaxConnections() - len(r.conns.list); n != want || !r.m.Rules.Attends {
			h.t.Errorf("there is room for %d, %v; want %d", n, r.m.Rules.Attends, want)
		}
	})
	h.attends(name, want > 0)
}

// attends checks whether who comes is accepted.
func (h *house) attends(name string, want bool) {
	h.t.Helper()
	away, asked := errors.New("who came is away again"), false
	err := h.s.Attend(name, func() (Caller, error) { asked = true; return Caller{}, away })
	if asked != want || want != errors.Is(err, away) {
		h.t.Errorf("who comes is accepted: %v, %v; want %v", asked, err, want)
	}
}

// TestAProcessForEachConnection: the service is up without one of its own, and none is
// started for those above its limit. The least number that is free makes the key.
func TestAProcessForEachConnection(t *testing.T) {
	inHouse(t, []string{"echo accept=2", "plain"}, func(h *house) {
		h.did("spawn plain")
		h.is("echo running, plain running")
		h.room("echo", 2)
		h.refused(h.s.Kill("echo", syscall.SIGUSR1), NotRunning, "echo: nobody is connected, and it has no process: there is nothing to signal")
		h.calls("echo", "a")
		h.calls("echo", "b")
		h.did("spawn echo/conn0, spawn echo/conn1")
		h.connected("echo", 2, "a", "b")
		h.room("echo", 0)
		if err := h.s.Attend("echo", h.nobody); !errors.Is(err, ErrFull) {
			t.Errorf("there is room for another one: %v", err)
		}
		h.k.ends(t, "echo/conn0", reap.ExitCode(0))
		h.pass(5 * ms)
		h.is("echo running, plain running")
		h.calls("echo", "c")
		h.did("spawn echo/conn0")
		h.connected("echo", 3, "b", "c")
		if spec := h.k.specs["echo/conn0"]; spec.Run <= h.k.specs["echo/conn1"].Run || !spec.Guest || !slices.Equal(spec.Prep.PidVars, []string{"LISTEN_PID"}) {
			t.Errorf("its process is %+v", spec)
		}
		if err := h.s.Attend("plain", h.nobody); !errors.Is(err, ErrNotGiven) {
			t.Errorf("a service that accepts for itself is given a connection: %v", err)
		}
	})
}

// TestAStopEndsTheConnections: with the stop signal, and who does not heed it by force.
func TestAStopEndsTheConnections(t *testing.T) {
	inHouse(t, []string{"db", "echo accept=9 requires=db"}, func(h *house) {
		h.did("spawn db")
		h.k.odds("echo/conn1", reaptest.Odds{Deaf: 100})
		h.calls("echo", "a")
		h.calls("echo", "b")
		h.did("spawn echo/conn0, spawn echo/conn1")
		h.ok(h.s.Stop("db"))
		h.pass(time.Second)
		h.did("TERM echo/conn0, TERM echo/conn1") // what it requires comes after it
		h.is("db running, echo stopping (db, which it requires, went down)")
		h.connected("echo", 2, "b")
		h.pass(2 * time.Second)
		h.did("KILL echo/conn1, TERM db")
		h.connected("echo", 2)
		h.refused(h.s.Attend("echo", h.nobody), NotRunning, "echo: it is blocked, and takes no connections: start it")
		h.ok(h.s.Start("echo", false))
		h.pass(10 * ms)
		h.is("db running, echo running")
		h.ok(h.s.Stop("echo")) // nobody is connected: it is down at once
		h.is("db running, echo exited (stopped)")
	})
}

// TestConnectionsGoOnUnderAnotherServer: those that ended meanwhile are forgotten, and a
// stop that was under way goes on.
func TestConnectionsGoOnUnderAnotherServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := attended(t, echoLine, "a", "b", "c")
		h.k.ends(t, "echo/conn0", reap.ExitCode(0))
		h.pass(10 * ms)
		h.s.Leave()
		<-h.s.Done()
		h.k.ends(t, "echo/conn1", reap.ExitCode(1))
		h.pass(10 * ms)
		h.k.take()
		h = h.succeed(t, echoLine)
		h.is("echo running")
		h.connected("echo", 3, "c")
		h.calls("echo", "d")
		h.did("spawn echo/conn0")
		h.k.odds("echo/conn0", reaptest.Odds{Deaf: 100})
		h.ok(h.s.Stop("echo"))
		h = h.succeed(t, echoLine)
		h.k.take()
		h.is("echo exited (stopped)")
		h.connected("echo", 4)
		h.close()
	})
}

// TestATakeoverDuringExecStop: who is connected is not told before that is over, and what
// is to be left alone is.
func TestATakeoverDuringExecStop(t *testing.T) {
	const line = "echo accept=9 stop=/bye kill"
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, line), h.k.inventory())
		h.pass(10 * ms)
		h.k.odds("echo/conn0", reaptest.Odds{Lingers: 100})
		h.calls("echo", "a")
		h.calls("echo", "b")
		h.k.ends(t, "echo/conn0", reap.ExitCode(0))
		h.pass(10 * ms)
		h.ok(h.s.Stop("echo"))
		h.pass(10 * ms)
		h.did("spawn echo/conn0, spawn echo/conn1, spawn echo/hook /bye")
		h = h.succeed(t, line)
		h.did("")
		h.k.ends(t, "echo/hook", reap.ExitCode(0))
		h.pass(10 * ms)
		h.did("TERM echo/conn1")
		h.close()
	})
}

// TestConnectionsOfWhichNothingWasWrittenDown go on, too: their service is up.
func TestConnectionsOfWhichNothingWasWrittenDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		h.boot(services(t, "echo accept=9", "gone accept=9"), h.k.inventory())
		h.pass(10 * ms)
		h.calls("echo", "a")
		h.calls("gone", "b")
		h.s.Leave()
		<-h.s.Done()
		h.k.take()
		next := newHouse(t, h.k)
		next.boot(services(t, "echo accept=9 status=stop", "gone"), h.k.inventory())
		next.pass(10 * ms)
		next.is("echo running, gone running")
		next.connected("echo", 0, "")
		next.did("KILL gone/conn0, spawn gone") // it accepts for itself now
		next.room("echo", 8)
		next.close()
	})
}

// TestAConnectionWithoutAProcess is over, and its service goes on.
func TestAConnectionWithoutAProcess(t *testing.T) {
	inHouse(t, []string{"echo accept=9 exec=/missing"}, func(h *house) {
		h.ok(h.s.Attend("echo", from("a")))
		h.pass(5 * ms)
		h.is("echo running")
		h.connected("echo", 1)
	})
}

func TestTheKeeperGoesWhileSomebodyIsConnected(t *testing.T) {
	inHouse(t, []string{"echo accept=9"}, func(h *house) {
		h.ok(h.s.Attend("echo", from("a")))
		h.k.events <- []reap.Event{reap.KeeperLost{}}
		if err := <-h.ended; !errors.Is(err, ErrKeeperLost) {
			t.Errorf("the loop ended with: %v", err)
		}
	})
}

// TestAnotherWayToAcceptAppliesAtTheNextStart: a service that is to accept for itself from now on goes
// on being given connections until it is started again.
func TestAnotherWayToAcceptAppliesAtTheNextStart(t *testing.T) {
	inHouse(t, []string{"echo accept=2"}, func(h *house) {
		h.calls("echo", "a")
		ch, err := h.reload("echo")
		h.ok(err)
		if fmt.Sprint(ch.RestartToApply) != "[echo]" {
			t.Errorf("%+v", ch)
		}
		h.room("echo", 1)
		h.k.take()
		h.ok(h.s.Restart("echo"))
		h.pass(time.Second)
		h.did("TERM echo/conn0, spawn echo")
		_, err = h.reload("echo accept=3")
		h.ok(err)
		h.attends("echo", false)
		h.ok(h.s.Restart("echo"))
		h.pass(time.Second)
		h.did("TERM echo")
		h.room("echo", 3)
	})
}

// TestAServiceThatComesBackAttendsAgain: its keys are those of one that was removed, and
// the keeper remembers their runs.
func TestAServiceThatComesBackAttendsAgain(t *testing.T) {
	inHouse(t, []string{"echo accept=9", "other"}, func(h *house) {
		for range 3 {
			h.calls("echo", "a")
		}
		_, err := h.reload("other")
		h.ok(err)
		h.pass(time.Second)
		h.is("other running")
		_, err = h.reload("other", "echo accept=9")
		h.ok(err)
		h.pass(10 * ms)
		h.k.take()
		h.calls("echo", "b")
		h.did("spawn echo/conn0")
		h.connected("echo", 1, "b")
	})
}

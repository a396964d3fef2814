package supervise

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
)

// inContainer is inHouse where the end of main services counts. The answer of ended
// are their codes up to now, and whether the supervisor has ended.
func inContainer(t *testing.T, lines []string, test func(h *house, ended func() string)) {
	t.Helper()
	bubble(t, func(t *testing.T) {
		var codes []string
		h := newHouse(t, newPlayer())
		h.s.core.MainEnded = func(code uint8) { codes = append(codes, fmt.Sprint(code)) }
		h.s.core.StopWithin = 6 * time.Second
		h.boot(services(t, lines...), h.k.inventory())
		defer h.close()
		h.pass(50 * time.Millisecond)
		test(h, func() string {
			text := strings.Join(codes, " ")
			select {
			case <-h.s.Done():
				text += " down"
			default:
			}
			return text
		})
	})
}

func TestTheEndOfAMainServiceIsTheEndOfAll(t *testing.T) {
	cases := []struct {
		name  string
		lines []string
		ends  map[string]reap.Status
		after time.Duration // zero: at once
		want  string
	}{
		{"with its code", []string{"app main restart=never", "db"}, map[string]reap.Status{"app": reap.ExitCode(42)}, 0, "42 down"},
		{"with 0", []string{"app main", "db"}, map[string]reap.Status{"app": reap.ExitCode(0)}, 0, "0 down"},
		{"by a signal", []string{"app main restart=never"}, map[string]reap.Status{"app": reap.KilledBy(syscall.SIGKILL)}, 0, "137 down"},
		{"when it is given up", []string{"app main max=1 exec=/missing"}, nil, time.Second, "126 down"},
		{"not while it is tried again", []string{"app main max=1"}, map[string]reap.Status{"app": reap.ExitCode(3)}, time.Minute, ""},
		{"not while it runs again", []string{"app main restart=always"}, map[string]reap.Status{"app": reap.ExitCode(0)}, time.Minute, ""},
		{"a oneshot that has done its work", []string{"app main oneshot", "db"}, map[string]reap.Status{"app": reap.ExitCode(0)}, 0, "0 down"},
		{"a oneshot that remains is not over", []string{"app main remain", "db"}, map[string]reap.Status{"app": reap.ExitCode(0)}, time.Minute, ""},
		{"the first of two", []string{"app main restart=never", "web main restart=never"},
			map[string]reap.Status{"web": reap.ExitCode(5)}, 0, "5 down"},
		{"another service is not", []string{"app main", "db restart=never"}, map[string]reap.Status{"db": reap.ExitCode(9)}, time.Minute, ""},
		{"what it requires is", []string{"app main requires=mid", "mid requires=db", "db restart=never"},
			map[string]reap.Status{"db": reap.ExitCode(9)}, 0, "1 down"},
		{"what it requires may come back", []string{"app main requires=db", "db"},
			map[string]reap.Status{"db": reap.ExitCode(9)}, time.Minute, ""},
		{"one that cannot be", []string{"app main requires=none"}, nil, 0, "1 down"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inContainer(t, c.lines, func(h *house, ended func() string) {
				for name, status := range c.ends {
					h.k.ends(t, name, status)
				}
				h.pass(c.after + 50*time.Millisecond)
				if got := ended(); got != c.want {
					t.Errorf("%q, want %q; %s", got, c.want, h.states())
				}
			})
		})
	}
}

func TestAMainServiceThatIsStoppedByHandEndsNothing(t *testing.T) {
	inContainer(t, []string{"app main requires=db restart=never", "db"}, func(h *house, ended func() string) {
		h.ok(h.s.Stop("app"))
		h.pass(time.Minute)
		h.ok(h.s.Start("app", false))
		h.pass(time.Second)
		h.ok(h.s.Stop("db"))
		h.pass(time.Minute)
		h.is("app blocked (waiting on: db), db exited (stopped)")
		h.ok(h.s.Start("db", false))
		h.pass(time.Second)
		h.is("app running, db running")
		if got := ended(); got != "" {
			t.Errorf("it ended: %q", got)
		}
		h.ok(h.s.Restart("app"))
		h.pass(time.Second)
		h.k.ends(t, "app", reap.ExitCode(7))
		h.pass(time.Minute)
		if got := ended(); got != "7 down" {
			t.Errorf("it ended: %q", got)
		}
	})
}

func TestWithoutAContainerAMainServiceIsLikeOthers(t *testing.T) {
	inHouse(t, []string{"app main restart=never", "db"}, func(h *house) {
		h.k.ends(t, "app", reap.ExitCode(3))
		h.pass(time.Minute)
		h.is("app failed (exit code 3), db running")
	})
}

// The end comes to light while a server is there that does not follow it, as if it had
// died before it could.
func TestASuccessorKnowsThatTheMainServiceHasEnded(t *testing.T) {
	lines := []string{"app main restart=never", "db"}
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		h.boot(services(t, lines...), h.k.inventory())
		h.pass(time.Second)
		h.k.ends(t, "app", reap.KilledBy(11))
		h.pass(time.Second)
		memory, clock := h.s.core.Memory, h.s.core.Clock
		h.s.Leave()
		<-h.s.Done()
		h.k.close()
		next := newHouse(t, playOn(h.k.sim))
		defer next.close()
		var code uint8
		next.s.core.Memory, next.s.core.Clock = memory, clock
		next.s.core.MainEnded = func(c uint8) { code = c }
		next.boot(services(t, lines...), next.k.inventory())
		<-next.s.Done()
		if code != 139 {
			t.Errorf("code %d; %s", code, next.states())
		}
	})
}

func TestAShutdownIsDividedAmongTheWaves(t *testing.T) {
	cases := []struct {
		name  string
		lines []string
		want  time.Duration
	}{
		{"what fits is left alone", []string{"app requires=db stop-timeout=3s", "db stop-timeout=3s"}, 6 * time.Second},
		{"what does not is cut", []string{"app requires=db stop-timeout=8s", "db stop-timeout=4s"}, 6 * time.Second},
		{"one is cut", []string{"app stop-timeout=1h", "db stop-timeout=1s"}, 6 * time.Second},
		{"what is down does not count", []string{"app stop-timeout=5s", "db stop-timeout=1h status=stop after=app"}, 5 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inContainer(t, nil, func(h *house, ended func() string) {
				for _, name := range []string{"app", "db"} {
					h.k.odds(name, reaptest.Odds{Deaf: 100})
				}
				if _, err := h.reload(c.lines...); err != nil {
					t.Fatal(err)
				}
				h.pass(time.Second)
				h.s.Shutdown()
				h.pass(c.want - 50*time.Millisecond)
				if got := ended(); got != "" {
					t.Fatalf("it ended early: %q", got)
				}
				h.pass(100 * time.Millisecond)
				if got := ended(); got != " down" {
					t.Errorf("it has not ended: %s", h.states())
				}
			})
		})
	}
}

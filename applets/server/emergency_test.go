package server

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/launch"
)

// An emergencyRig has an emergency and sees what it says and orders.
type emergencyRig struct {
	emergency
	text   bytes.Buffer
	tried  []string // again
	orders []launch.Order
}

func newEmergencyRig(there string) *emergencyRig {
	r := &emergencyRig{}
	r.emergency = emergency{
		log:    slog.New(slog.NewTextHandler(&r.text, nil)),
		spawn:  func(o launch.Order) { r.orders = append(r.orders, o) },
		exists: func(path string) bool { return path == there },
		again:  func(services []string) { r.tried = append(r.tried, services...) },
	}
	return r
}

func (r *emergencyRig) fail(service string, up ...string) {
	r.critical(service, "exit code 1; given up after 3 restarts", func(name string) bool { return slices.Contains(up, name) })
}

// said is what it has said since it was last asked.
func (r *emergencyRig) said() string {
	defer r.text.Reset()
	return r.text.String()
}

func expect(t *testing.T, said string, words, not []string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("it does not say %q:\n%s", w, said)
		}
	}
	for _, w := range not {
		if strings.Contains(said, w) {
			t.Errorf("it says %q:\n%s", w, said)
		}
	}
}

const thereIsOne = "an emergency shell is on /dev/console"

func TestACriticalFailureIsExplainedAndGivesAShell(t *testing.T) {
	for _, c := range []struct {
		name    string
		there   string
		network string
		argv    []string
		says    string
	}{
		{"with a shell", "/bin/sh", "network", []string{"/bin/sh"}, "SSH may work"},
		{"with busybox alone", "/bin/busybox", "", []string{"/bin/busybox", "sh"}, "use the console"},
		{"without", "", "", nil, "there is no emergency shell: this system has no /bin/sh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newEmergencyRig(c.there)
			r.adopt(reap.Inventory{Runs: map[string]uint64{emergencyKey: 3}})
			r.fail("db", c.network)
			expect(t, r.said(), []string{c.says, "CRITICAL FAILURE: db has failed: exit code 1", "zinit logs db"}, []string{thereIsOne})
			if c.argv == nil {
				if len(r.orders) != 0 {
					t.Errorf("started %v", r.orders)
				}
				return
			}
			if len(r.orders) != 1 {
				t.Fatalf("%d orders", len(r.orders))
			}
			if o := r.orders[0]; o.Key != emergencyKey || o.Run != 4 || !slices.Equal(o.Command.Argv, c.argv) ||
				o.Service.TTY != "/dev/console" || o.Service.Stdin != config.StdinTTY {
				t.Errorf("ordered %+v", o)
			}
		})
	}
}

func TestTheEmergencyShellIsAnnouncedWhenItIsThereAndOnce(t *testing.T) {
	r := newEmergencyRig("/bin/sh")
	r.fail("db")
	r.said()
	r.heard(reap.Spawned{Key: "db", Run: r.run}) // which is another process
	expect(t, r.said(), nil, []string{thereIsOne})
	r.heard(reap.Spawned{Key: emergencyKey, Run: r.run, Pid: 77})
	expect(t, r.said(), []string{thereIsOne, "pid=77"}, nil)
	r.fail("multi-user") // because of db
	expect(t, r.said(), []string{"CRITICAL FAILURE: multi-user", "zinit status multi-user"}, []string{thereIsOne, "network"})
	if len(r.orders) != 1 {
		t.Fatalf("%d shells were started", len(r.orders))
	}
	r.heard(reap.Exited{Key: emergencyKey, Run: r.run})
	expect(t, r.said(), []string{"the emergency shell has ended"}, nil)
	r.fail("db")
	if len(r.orders) != 2 || r.orders[1].Run != r.orders[0].Run+1 {
		t.Errorf("after its end: %d orders", len(r.orders))
	}
}

// Who leaves the shell wants to go on, and must not be left without one.
func TestTheEndOfAnEmergencyShellTriesAgainWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newEmergencyRig("/bin/sh")
		sit := func(while time.Duration) {
			r.heard(reap.Spawned{Key: emergencyKey, Run: r.run, Pid: 77})
			<-time.After(while)
			r.heard(reap.Exited{Key: emergencyKey, Run: r.run})
		}
		r.fail("db")
		r.fail("multi-user")
		r.fail("db")
		if sit(time.Minute); strings.Join(r.tried, " ") != "db multi-user" {
			t.Errorf("tried %q", r.tried)
		}
		expect(t, r.said(), []string{"started again: db, multi-user"}, nil)
		r.fail("db")
		if sit(time.Second); len(r.tried) != 2 || len(r.orders) != 2 {
			t.Errorf("a shell without a terminal: tried %q, %d shells", r.tried, len(r.orders))
		}
	})
}

func TestAnEmergencyShellThatDoesNotComeIsSaidNotToBeThere(t *testing.T) {
	for _, c := range []struct {
		failed reap.SpawnFailed
		says   string
	}{
		{reap.SpawnFailed{Text: "cannot open tty /dev/console: no such device"}, "there is no emergency shell: cannot open tty /dev/console"},
		{reap.SpawnFailed{Errno: syscall.ENOMEM}, "there is no emergency shell: cannot fork: cannot allocate memory"},
		{reap.SpawnFailed{Errno: syscall.ENOEXEC}, "there is no emergency shell: cannot execute /bin/sh"},
	} {
		r := newEmergencyRig("/bin/sh")
		r.fail("db")
		c.failed.Key, c.failed.Run = emergencyKey, r.run
		r.heard(c.failed)
		expect(t, r.said(), []string{c.says}, []string{thereIsOne})
		if r.fail("db"); len(r.orders) != 2 {
			t.Errorf("%s: it is not tried again", c.says)
		}
	}
}

func TestAnEmergencyShellOutlivesTheServer(t *testing.T) {
	r := newEmergencyRig("/bin/sh")
	r.adopt(reap.Inventory{Runs: map[string]uint64{emergencyKey: 7}, Children: []reap.Child{{Key: emergencyKey, Run: 7}}})
	r.fail("db")
	expect(t, r.said(), []string{"CRITICAL FAILURE: db"}, []string{"no emergency shell"})
	if len(r.orders) != 0 {
		t.Errorf("there are two now: %v", r.orders)
	}
	r.heard(reap.Exited{Key: emergencyKey, Run: 7})
	if strings.Join(r.tried, " ") != "db" {
		t.Errorf("after its end %q is tried again", r.tried)
	}
	if r.fail("db"); len(r.orders) != 1 || r.orders[0].Run != 8 {
		t.Errorf("after its end: %+v", r.orders)
	}
}

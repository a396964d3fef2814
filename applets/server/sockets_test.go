package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zinit/proxy/address"
	"zinit/reap"
	"zinit/supervise"
	"zinit/supervise/config"
)

// sockets is a server that takes over what the keeper has.
func (y *yard) sockets() *sockets {
	y.mu.Lock()
	kept := map[string]*os.File{}
	for name, f := range y.kept {
		kept[name] = y.copy(f)
	}
	y.mu.Unlock()
	x := newSockets(y, nil, slog.New(slog.DiscardHandler))
	x.adopt(kept)
	return x
}

// outfitted is a service that is given sockets at these names.
func (y *yard) outfitted(name string, files ...string) *config.Service {
	s := &config.Service{Name: name, Sockets: make([]config.Socket, 1)}
	for _, f := range files {
		s.Sockets[0].Listen = append(s.Sockets[0].Listen, address.Address{Network: address.Unix, Path: y.at(f)})
	}
	return s
}

func (y *yard) at(file string) string { return filepath.Join(y.dir, file) }

func (y *yard) reaches(file string) bool {
	c, err := net.Dial("unix", y.at(file))
	if err == nil {
		c.Close()
	}
	return err == nil
}

func nobodyLives(string) bool { return false }

// TestSocketsOfServicesPassFromServerToServer: what is there stays as it is; what is
// needed no more is closed, but not under a service that lives.
func TestSocketsOfServicesPassFromServerToServer(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	x.sync([]*config.Service{y.outfitted("web", "a", "b"), y.outfitted("db", "c")}, nobodyLives)
	client, err := net.Dial("unix", y.at("b"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	x = y.sockets()
	web := y.outfitted("web", "b", "d")
	x.sync([]*config.Service{web}, func(service string) bool { return service == "web" })
	for file, want := range map[string]bool{"a": true, "b": true, "c": false, "d": true} {
		if y.reaches(file) != want {
			t.Errorf("%s can be reached: %v", file, !want)
		}
	}
	v, err := x.give(web)
	if err != nil || len(v.Files) != 2 || !slices.Equal(v.Env, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=web:web"}) {
		t.Fatalf("it is given %+v, %v", v, err)
	}
	if y.reaches("a") {
		t.Error("a can be reached after the next start")
	}
	l, err := net.FileListener(v.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := l.Accept(); err != nil {
		t.Error(err) // who came to the first server
	} else {
		c.Close()
	}
	closeFiles(v.Files)
	x.stop()
	if y.reaches("b") || y.reaches("d") || len(y.kept) > 0 {
		t.Errorf("after the end there are %v", y.kept)
	}
}

func TestASocketIsGivenToOneServiceOnly(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	x.sync([]*config.Service{y.outfitted("web", "a")}, nobodyLives)
	if _, err := x.give(y.outfitted("other", "a")); err == nil || !strings.Contains(err.Error(), "the service web is given it") {
		t.Errorf("%v", err)
	}
	x.forget("web")
	v, err := x.give(y.outfitted("other", "a"))
	if err != nil {
		t.Error(err)
	}
	closeFiles(v.Files)
	x.stop()
}

// A starter has services be up that accept for themselves.
type starter func() error

func (s starter) Activate(context.Context, string) error { return s() }

func (starter) Attend(string, func() (supervise.Caller, error)) error { return supervise.ErrNotGiven }

// TestWhoWaitsAtASocketDoesNotStartAServiceWithoutEnd: a start that fails, or ends badly
// soon, is followed by a pause.
func TestWhoWaitsAtASocketDoesNotStartAServiceWithoutEnd(t *testing.T) {
	for name, ends := range map[string]bool{"it does not come up": false, "it ends badly": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			x := y.sockets()
			defer x.stop()
			x.sync([]*config.Service{y.outfitted("web", "a")}, nobodyLives)
			starts := make(chan time.Time, 100)
			x.watch(starter(func() error {
				starts <- time.Now()
				if !ends {
					return errors.New("it does not come up")
				}
				time.AfterFunc(10*time.Millisecond, func() {
					x.heard(reap.Exited{Key: "web", Status: reap.ExitCode(1)})
				})
				return nil
			}))
			if len(starts) > 0 {
				t.Error("it was started before anybody came")
			}
			if !y.reaches("a") {
				t.Fatal("nobody can come")
			}
			var at [3]time.Time
			for i := range at {
				select {
				case at[i] = <-starts:
				case <-time.After(30 * time.Second):
					t.Fatalf("there was no start %d", i+1)
				}
			}
			if first, second := at[1].Sub(at[0]), at[2].Sub(at[1]); first < pauseLeast || second < 2*pauseLeast {
				t.Errorf("the pauses are %v and %v", first, second)
			}
		})
	}
}

// TestAServiceThatEndsWellIsStartedAgainAtOnce for who has come meanwhile.
func TestAServiceThatEndsWellIsStartedAgainAtOnce(t *testing.T) {
	y := newYard(t)
	x := y.sockets()
	defer x.stop()
	x.sync([]*config.Service{y.outfitted("web", "a")}, nobodyLives)
	starts := make(chan int, 100)
	n := 0
	x.watch(starter(func() error {
		n++
		starts <- n
		return nil
	}))
	if !y.reaches("a") {
		t.Fatal("nobody can come")
	}
	for want := 1; want < 4; want++ {
		select {
		case <-starts:
		case <-time.After(30 * time.Second):
			t.Fatalf("there was no start %d", want)
		}
		x.heard(reap.Exited{Key: "web", Status: reap.ExitCode(0)})
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if o := x.of["web"]; o.pause != nil || o.failures != 0 {
		t.Errorf("there is a pause after %d failures", o.failures)
	}
}

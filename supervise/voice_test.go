package supervise

import (
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
)

// oneLine gives a run one descriptor.
type oneLine struct{ w *os.File }

func (o *oneLine) Open(*config.Service, uint64) (Voice, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return Voice{}, err
	}
	r.Close()
	o.w = w
	return Voice{Files: []*os.File{w}}, nil
}

func (*oneLine) Close(string)         {}
func (*oneLine) Drain(string, func()) {}

// A slowVoice says what is left to say a second after it is asked for it.
type slowVoice struct {
	mu   sync.Mutex
	say  func() // guarded by mu
	asks int    // guarded by mu
}

func (v *slowVoice) says(what func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.say = what
}

// asked is how often it was.
func (v *slowVoice) asked() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asks
}

func (*slowVoice) Open(*config.Service, uint64) (Voice, error) { return Voice{}, nil }
func (*slowVoice) Close(string)                                {}
func (v *slowVoice) Drain(_ string, done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asks++
	time.AfterFunc(time.Second, func() {
		v.mu.Lock()
		say := v.say
		v.mu.Unlock()
		if say != nil {
			say()
		}
		done()
	})
}

// TestNobodyIsBlamedBeforeHeIsHeard: a sign of life, or the word that it is ready, that
// waits when the time is over has come in time.
func TestNobodyIsBlamedBeforeHeIsHeard(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		voice := &slowVoice{}
		h.s.core.Ears = voice
		h.boot(services(t, "web notify watchdog=5s restart=never"), h.k.inventory())
		defer h.close()
		voice.says(func() { h.s.Notify("web", Notice{Ready: true}) })
		h.pass(30500 * ms)
		h.is("web starting")
		h.pass(time.Second)
		h.is("web running")
		voice.says(func() { h.s.Notify("web", Notice{Alive: true}) })
		h.pass(6 * time.Second)
		h.is("web running")
		voice.says(nil)
		h.pass(5 * time.Second)
		h.is("web running")
		h.k.take()
		h.pass(time.Second)
		h.did("ABRT web")
		if n := voice.asked(); n != 3 { // its end is no surprise any more
			t.Errorf("it was asked %d times", n)
		}
	})
}

// TestLastWordsComeBeforeTheEnd: what a process said before it ended counts before its
// end does, whichever comes first; and so it is under another server.
func TestLastWordsComeBeforeTheEnd(t *testing.T) {
	const line = "web notify restart=never"
	for name, another := range map[string]bool{"the same server": false, "another server": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := remembering(t)
				voice := &slowVoice{}
				h.s.core.Ears = voice
				h.boot(services(t, line), h.k.inventory())
				h.pass(10 * ms)
				h.s.Notify("web", Notice{Ready: true})
				h.pass(10 * ms)
				heir := 0
				h.k.with(func(s *reaptest.Sim) { heir = s.Fork("web") })
				voice.says(func() { h.s.Notify("web", Notice{MainPID: heir}) })
				if another {
					h.s.Leave()
					<-h.s.Done()
				}
				h.k.ends(t, "web", reap.ExitCode(0))
				h.pass(10 * ms)
				if another {
					h = h.succeed(t, line)
				}
				h.pass(900 * ms)
				h.is("web running")
				h.pass(200 * ms)
				h.is("web running")
				if v := h.s.Snapshot().Find("web"); v.Pid != heir || v.Run != 1 || voice.asked() != 1 {
					t.Errorf("its pid is %d in run %d, the heir is %d; asked %d times", v.Pid, v.Run, heir, voice.asked())
				}
				voice.says(nil)
				h.k.ends(t, "web", reap.ExitCode(3))
				h.pass(900 * ms)
				h.is("web running")
				h.pass(200 * ms)
				h.is("web failed (exit code 3)")
				h.close()
			})
		})
	}
}

// Nobody would ever hear that a run has closed its descriptor if the server held
// another one.
func TestWhatARunSpeaksWithIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, newPlayer())
		ears := &oneLine{}
		h.s.core.Ears = ears
		set := services(t, "web")
		set.Services[0].NotifyFD = 3
		h.boot(set, h.k.inventory())
		defer h.close()
		h.pass(50 * ms)
		if ears.w == nil {
			t.Fatal("it was given nothing to speak with")
		}
		if _, err := ears.w.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("the server still has it: %v", err)
		}
	})
}

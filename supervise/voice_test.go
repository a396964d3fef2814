package supervise

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"

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

func (*oneLine) Close(string) {}

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

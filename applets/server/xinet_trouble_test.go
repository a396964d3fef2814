package server

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/proxy/remote"
	"zinit/reap"
	"zinit/supervise/config"
)

// refusing is a keeper's client without a descriptor left, once.
type refusing struct {
	*yard
	times int
}

func (r *refusing) Keep(name string, f *os.File) error {
	if r.times > 0 && strings.HasPrefix(name, channelPrefix) {
		r.times--
		return syscall.EMFILE
	}
	return r.yard.Keep(name, f)
}

// A process that cannot be started in that moment is tried again.
func TestAProcessThatCannotBeStartedIsTriedAgain(t *testing.T) {
	y := newYard(t)
	y.echo()
	x := y.open()
	x.sync([]*config.Proxy{y.proxy("p", "a")})
	y.talks(y.dial("a"))
	x.mu.Lock()
	x.keep = &refusing{y, 1}
	x.mu.Unlock()
	y.mu.Lock()
	syscall.Shutdown(int(y.ends["@xinet0"].Fd()), syscall.SHUT_RDWR)
	y.mu.Unlock()
	y.await("it is seen", func() bool { _, err := x.status(); return err != nil })
	// (That what died here goes on to accept is a matter of this test, where it is no process.)
	y.await("it is tried again", func() bool { _, err := x.status(); return err == nil })
}

// A process that was stopped (SIGSTOP) holds up a server that takes over no longer than
// one answer may take, however many proxies there are: until then nothing is supervised.
func TestAProcessThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	y := newYard(t)
	ours, theirs, err := remote.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	y.kept[channelPrefix+"@xinet0/1"] = ours
	y.alive["@xinet0"] = reap.Child{Key: "@xinet0", Run: 1, Pid: 1}
	x := y.open()
	began := time.Now()
	x.sync([]*config.Proxy{y.proxy("p", "a"), y.proxy("q", "b"), y.proxy("r", "c"), y.proxy("s", "d")})
	first := began.Add(remote.Patience)
	if more := time.Since(first); more > remote.Patience/2 {
		t.Errorf("it took %v longer than one answer may", more)
	}
}

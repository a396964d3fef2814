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

// TestAProcessThatCannotBeStartedIsTriedAgain: for want of a descriptor here, since the
// spawn that fails is another matter.
func TestAProcessThatCannotBeStartedIsTriedAgain(t *testing.T) {
	y, x := served(t)
	x.mu.Lock()
	x.keep = &refusing{y, 1}
	x.mu.Unlock()
	y.dies()
	y.await("it is seen", func() bool { _, err := x.status(); return err != nil })
	y.await("it is tried again", func() bool { _, err := x.status(); return err == nil })
}

// TestAProcessThatDoesNotAnswerIsWaitedForOnce, however many proxies it is told of: a
// server that takes over supervises nothing until then.
func TestAProcessThatDoesNotAnswerIsWaitedForOnce(t *testing.T) {
	y := newYard(t)
	ours, theirs, err := remote.Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	y.kept[channelPrefix+"@xinet0/1"] = ours
	y.alive["@xinet0"] = reap.Child{Key: "@xinet0", Run: 1, Pid: 1}
	x := y.open()
	list := []*config.Proxy{y.proxy("p", "a"), y.proxy("q", "b"), y.proxy("r", "c"), y.proxy("s", "d")}
	took := func(list []*config.Proxy) time.Duration {
		began := time.Now()
		x.sync(list)
		return time.Since(began)
	}
	if one, all := took(list[:1]), took(list); all > one {
		t.Errorf("the first took %v, and all of them %v after that", one, all)
	}
}

package reap

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A channelPair is a client with the other ends of its channels, which the test plays.
type channelPair struct {
	t        *testing.T
	client   *Client
	requests *receiver
	fd       int
}

// connect makes a client of a keeper that says this hello.
func connect(t *testing.T, hello message) *channelPair {
	t.Helper()
	mine, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	files, theirFiles, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	p := &channelPair{t: t, requests: &receiver{fd: mine}, fd: mine}
	p.tell(hello, new(completeMessage))
	if err := send(files, &packet{buf: appendRecord(nil, new(completeMessage))}, 0); err != nil {
		t.Fatal(err)
	}
	p.client, _, err = Connect(theirs, theirFiles)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(mine)
		unix.Close(files)
		for range p.client.Events() {
		}
	})
	return p
}

func (p *channelPair) tell(list ...message) {
	p.t.Helper()
	var text []byte
	for _, m := range list {
		text = appendRecord(text, m)
	}
	if err := send(p.fd, &packet{buf: text}, 0); err != nil {
		p.t.Fatal(err)
	}
}

// asked is the next packet of the client.
func (p *channelPair) asked() (m message, files int) {
	p.t.Helper()
	data, fds, _, err := p.requests.next()
	if err != nil {
		p.t.Fatal(err)
	}
	(&packet{files: fds}).close()
	decodePacket(data, func(got message) { m = got })
	return m, len(fds)
}

func (p *channelPair) event() Event {
	p.t.Helper()
	for late := time.After(patience); ; {
		select {
		case batch := <-p.client.Events():
			if len(batch) > 0 {
				return batch[0]
			}
		case <-late:
			p.t.Fatal("no event")
		}
	}
}

func TestAnOlderKeeperIsNotAskedForWhatItDoesNotKnow(t *testing.T) {
	p := connect(t, &helloMessage{Stage: StageServe})
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	p.client.Spawn(Spec{Key: "plain", Run: 1, Path: "/x"})
	if m, _ := p.asked(); m.verb() != verbSpawn {
		t.Errorf("asked %#v", m)
	}
	p.client.Spawn(Spec{Key: "a", Run: 1, Path: "/x", User: &Credential{Uid: 1}, Stdin: null})
	m, files := p.asked()
	if d, ok := m.(*declinedMessage); !ok || d.Errno != unix.EOPNOTSUPP || files != 0 {
		t.Errorf("asked %#v with %d descriptors", m, files)
	}
	p.tell(&SpawnFailed{Key: "a", Run: 1, Errno: unix.EOPNOTSUPP}, &SpawnFailed{Key: "b", Run: 1, Errno: unix.ENOENT})
	batch := <-p.client.Events()
	if a := batch[0].(SpawnFailed); a.Text != tooOld {
		t.Errorf("%#v", a)
	}
	if b := batch[1].(SpawnFailed); b.Text != "" {
		t.Errorf("%#v", b)
	}
	p.client.Watch("a", 1, 7)
	if f, ok := p.event().(WatchFailed); !ok || f.Pid != 7 || !strings.Contains(f.Why, "older program") {
		t.Errorf("%#v", f)
	}

	// It becomes a newer one, told or asked.
	p.tell(&helloMessage{Can: canWatch}, &Signaled{1})
	p.event()
	p.client.Watch("a", 1, 8)
	m, _ = p.asked()
	if w, ok := m.(*watchMessage); !ok || w.Pid != 8 {
		t.Errorf("asked %#v", m)
	}
	p.tell(&Reexecuted{can: can})
	p.event()
	p.client.Spawn(Spec{Key: "a", Run: 2, Path: "/x", TTY: true})
	for m, _ = p.asked(); m.verb() == verbTook; m, _ = p.asked() {
	}
	if m.verb() != verbDress {
		t.Errorf("asked %#v", m)
	}
	// And an older one again.
	p.tell(&Reexecuted{})
	p.event()
	p.client.Spawn(Spec{Key: "a", Run: 3, Path: "/x", TTY: true})
	if m, _ := p.asked(); m.verb() != verbDeclined {
		t.Errorf("asked %#v", m)
	}
}

// A server of the time before users and cgroups asks as it always did.
func TestAnOlderServerIsUnderstood(t *testing.T) {
	old := []byte{version, verbSpawn, 15, 0, 0, 0, 1, 'a', 1, 1, 0, 0, 0, 2, '/', 'x', 0, 1, 1, 'x', 0}
	list, ok := decodeAll(old)
	if m := list[0].(*spawnMessage); !ok || m.Key != "a" || m.Run != 1 || !m.Group || m.Args.Path != "/x" || len(m.Args.Argv) != 1 {
		t.Errorf("%v: %#v", ok, list[0])
	}
	r := new(intake).spawn(list[0].(*spawnMessage))
	if r.missing || r.stdin >= 0 || r.cgroup >= 0 || r.child() != (Child{Key: "a", Run: 1, Group: true}) {
		t.Errorf("%#v", r)
	}
}

func TestTooManyFilesOrGroupsAreRefusedBeforeTheyAreSent(t *testing.T) {
	p := connect(t, &helloMessage{Can: can})
	for i, sp := range []Spec{
		{Files: make([]*os.File, MaxFiles+1)},
		{User: &Credential{Groups: make([]uint32, maxGroups+1)}},
	} {
		sp.Key, sp.Run, sp.Path = "a", uint64(i+1), "/x"
		p.client.Spawn(sp)
		m, _ := p.asked()
		if d, ok := m.(*declinedMessage); !ok || d.Errno != unix.E2BIG {
			t.Errorf("asked %#v", m)
		}
	}
}

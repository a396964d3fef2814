package reap

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Kept is the descriptors that must outlive the server. They live in the
// descriptor table of one thread that has unshared it: each descriptor in the
// table that forks would cost every spawn a tenth of a microsecond.
type Kept struct {
	control int           // main's end; see the kinds of packets below
	drained chan struct{} // capacity 1: a channel 2 was read to its end
	busy    bool          // one was given and not read to its end; for StartServer
	errands chan *errand  // capacity 1: what the packet on its way is about
}

// An estate is what a holder begins with. The zero estate has channel 0, so begin
// with noEstate.
type estate struct {
	held    map[string]int // name to descriptor
	channel int            // channel 2 of the server that it serves; -1 for none
	unsent  []string       // names that this server has not got yet
	told    bool           // it was told that it has got everything
	mains   []int          // what is open and is for everybody else only
}

func noEstate() estate { return estate{held: make(map[string]int), channel: -1, told: true} }

// A packet from main is one byte and descriptors.
const (
	attachPacket = 1 // channel 2 of the next server
	errandPacket = 2 // an errand, with what that needs
)

// An errand is something that the holder's thread does between two packets.
type errand struct {
	do func(h *holder, files []int) // the descriptors are the holder's to close
	// taken is set by whoever comes first: the holder, who will do it, or the one who
	// gave it and waits no longer.
	taken atomic.Bool
	done  chan struct{}
}

var errHolderBusy = errors.New("the thread that keeps descriptors does not answer")

// newKept starts the thread. private says whether it got a table of its own; if so
// what it begins with is closed in the table of everybody else.
func newKept(log func(format string, args ...any), begin estate) (k *Kept, private bool, err error) {
	// The runtime's epoll descriptor must be in both tables: this thread too may be
	// the one that looks at it, at the end of a garbage collection. A pipe makes it.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, false, err
	}
	defer r.Close()
	defer w.Close()
	mine, theirs, err := socketPair()
	if err != nil {
		return nil, false, err
	}
	k = &Kept{control: mine, drained: make(chan struct{}, 1), errands: make(chan *errand, 1), busy: begin.channel >= 0}
	h := &holder{
		estate:  begin,
		control: theirs,
		recv:    (&receiver{flags: unix.MSG_DONTWAIT}).lasting(),
		errands: k.errands,
		drained: k.drained,
		// In this thread the number of the log's descriptor may mean another file.
		log: func(format string, args ...any) { go log(format, args...) },
	}
	mains := append(begin.all(), theirs)
	started := make(chan bool)
	go h.run(append(begin.mains, mine, int(r.Fd()), int(w.Fd())), started)
	if private = <-started; private {
		for _, fd := range mains {
			unix.Close(fd)
		}
	}
	return k, private, nil
}

// all lists the descriptors.
func (e *estate) all() []int {
	list := make([]int, 0, len(e.held)+2)
	for _, fd := range e.held {
		list = append(list, fd)
	}
	if e.channel >= 0 {
		list = append(list, e.channel)
	}
	return list
}

// attach makes the holder serve the next server, whose channel 2 it takes over.
func (k *Kept) attach(fd int) error {
	err := send(k.control, &packet{buf: []byte{attachPacket}, files: []int{fd}}, unix.MSG_DONTWAIT)
	unix.Close(fd)
	k.busy = err == nil
	return err
}

// settle waits until the previous server's channel 2 was read to its end.
func (k *Kept) settle() {
	if k.busy {
		<-k.drained
		k.busy = false
	}
}

// errand has the holder's thread do something with copies of some descriptors, and
// waits until that is done. An error says that it was not and will not be.
func (k *Kept) errand(files []int, bound time.Duration, do func(h *holder, files []int)) error {
	o := &errand{do: do, done: make(chan struct{})}
	select {
	case k.errands <- o:
	default:
		return errHolderBusy // with the one before
	}
	if err := send(k.control, &packet{buf: []byte{errandPacket}, files: files}, unix.MSG_DONTWAIT); err != nil {
		<-k.errands
		return err
	}
	late := time.NewTimer(bound)
	defer late.Stop()
	select {
	case <-o.done:
		return nil
	case <-late.C:
	}
	if o.taken.CompareAndSwap(false, true) {
		return errHolderBusy
	}
	<-o.done
	return nil
}

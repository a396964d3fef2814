package reap

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// maxKept is the number of descriptors beyond which the holder refuses further
// ones; the limit of the process (RLIMIT_NOFILE) is reached first nearly always.
const maxKept = 1 << 16

// Kept is the descriptors that must outlive the server. They live in the
// descriptor table of one thread that has unshared it: each descriptor in the
// table that forks would cost every spawn a tenth of a microsecond.
//
// The thread serves one server after the other, each over its own channel 2: it
// hands out what it holds, then takes in and releases by name. It makes raw
// system calls only, since the rest of the runtime knows the other table.
type Kept struct {
	control int           // main's end; each packet carries the next server's channel 2
	drained chan struct{} // capacity 1: a channel 2 was read to its end
	busy    bool          // one was given and not read to its end; for StartServer
}

// A holder is the state of the thread.
type holder struct {
	control int
	held    map[string]int // name to descriptor in the holder's table
	recv    *receiver
	drained chan<- struct{}
	log     func(format string, args ...any) // may be called from anywhere
}

// newKept starts the thread. private says whether it got a table of its own.
func newKept(log func(format string, args ...any)) (k *Kept, private bool, err error) {
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
	k = &Kept{control: mine, drained: make(chan struct{}, 1)}
	h := &holder{
		control: theirs,
		held:    make(map[string]int),
		recv:    new(receiver),
		drained: k.drained,
		// In this thread the number of the log's descriptor may mean another file.
		log: func(format string, args ...any) { go log(format, args...) },
	}
	started := make(chan bool)
	go h.run(mine, started)
	if private = <-started; private {
		unix.Close(theirs)
	}
	return k, private, nil
}

// attach makes the holder serve the next server, whose channel 2 it takes over.
func (k *Kept) attach(fd int) error {
	err := send(k.control, &packet{buf: []byte{version}, files: []int{fd}}, unix.MSG_DONTWAIT)
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

func (h *holder) run(mains int, started chan<- bool) {
	runtime.LockOSThread()
	private := unix.Unshare(unix.CLONE_FILES) == nil
	if private {
		unix.Close(mains)
	}
	started <- private
	for {
		h.recv.fd = h.control
		_, files, _, err := h.recv.next()
		if err != nil {
			return // main closed its end; only tests do
		}
		for _, fd := range files {
			if !survive(h.log, "holder", func() { h.serve(fd) }) {
				h.log("the holder of kept descriptors goes on with %d", len(h.held))
			}
			unix.Close(fd)
		}
		notify(h.drained)
	}
}

// serve hands out everything and then follows the server until it is gone.
func (h *holder) serve(fd int) {
	for _, p := range h.pages() {
		// The descriptors stay ours: a packet that was sent held copies.
		if err := send(fd, &p, 0); err != nil {
			break // the server is gone; what it had sent is still to be read
		}
	}
	h.recv.fd = fd
	for {
		data, files, lost, err := h.recv.next()
		if err != nil {
			return
		}
		rest := files
		ok := decodePacket(data, func(m message) {
			switch m := m.(type) {
			case *keepMessage:
				if len(rest) > 0 {
					h.keep(m.Name, rest[0])
					rest = rest[1:]
				}
			case *releaseMessage:
				h.release(m.Name)
			}
		})
		for _, fd := range rest {
			unix.Close(fd)
		}
		if lost || !ok {
			h.log("cannot keep every descriptor of the server: %d are held, the table is full", len(h.held))
		}
	}
}

func (h *holder) keep(name string, fd int) {
	h.release(name)
	if len(h.held) >= maxKept {
		unix.Close(fd)
		h.log("cannot keep descriptor %s: %d are held already", name, maxKept)
		return
	}
	h.held[name] = fd
}

func (h *holder) release(name string) {
	if fd, ok := h.held[name]; ok {
		unix.Close(fd)
		delete(h.held, name)
	}
}

func (h *holder) pages() []packet {
	var pages []packet
	for name, fd := range h.held {
		pages = appendMessage(pages, &keepMessage{nameMessage{name}}, []int{fd})
	}
	return appendMessage(pages, new(completeMessage), nil)
}

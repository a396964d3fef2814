package main_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The processes of TestChaos are lives, with a meter that says how many lines each
// has written at least.

// chaosModes are the ways to live; each returns an exit code.
var chaosModes = map[string]func(*chaosLife) int{
	"still":  chaosStill,
	"deaf":   chaosDeaf,
	"family": chaosFamily,
	"flood":  func(l *chaosLife) int { return l.pour(32, "o") },
	"pair":   func(l *chaosLife) int { return l.pour(1, "oe") },
	"brief":  chaosBrief,
	"fickle": chaosBrief,
}

// chaosChild is the child: its arguments are DIR NAME MODE SEED.
func chaosChild() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	seed, err := strconv.ParseUint(os.Args[4], 10, 64)
	if err != nil {
		return 97
	}
	l, err := beginChaosLife(os.Args[1], os.Args[2], seed, term)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot live:", err)
		return 97
	}
	l.mode = os.Args[3]
	code := chaosModes[l.mode](l)
	l.note("end", code)
	return code
}

// A chaosLife is one process, which a meter tells the test about.
type chaosLife struct {
	*life
	mode  string
	meter *chaosMeter
	rng   *rand.Rand
	next  map[byte]int // the number of the next line, by stream
	buf   []byte
}

// beginChaosLife begins one, and numbers it by its meter.
func beginChaosLife(dir, name string, seed uint64, term <-chan os.Signal) (*chaosLife, error) {
	one, err := openLife(dir, name, term)
	if err != nil {
		return nil, err
	}
	m, err := openChaosMeter(filepath.Join(dir, name) + ".meter")
	if err != nil {
		return nil, err
	}
	l := &chaosLife{life: one, meter: m, next: map[byte]int{'o': 1, 'e': 1}}
	m.add(meterLives, 1)
	if l.number = m.get(meterLives); l.number >= chaosLives {
		return nil, fmt.Errorf("more than %d lives", chaosLives)
	}
	h := fnv.New64a()
	h.Write([]byte(name))
	l.rng = rand.New(rand.NewPCG(seed^h.Sum64(), uint64(l.number)))
	l.note("begin", os.Getpid())
	return l, nil
}

// A chaosMeter is a file in memory that a process shares with the test.
type chaosMeter struct {
	mem   []byte
	words []uint64 // the same
}

// The words of a meter: first these, then two for each life, from chaosFirst on.
const (
	meterLives   = 0 // how many there were
	meterRead    = 1 // bytes that the test has read; it writes this one
	meterWritten = 2 // bytes that were written
	chaosFirst   = 8
	chaosLives   = 1 << 18
)

func openChaosMeter(path string) (*chaosMeter, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	const size = 8 * (chaosFirst + 2*chaosLives)
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &chaosMeter{mem, unsafe.Slice((*uint64)(unsafe.Pointer(&mem[0])), size/8)}, nil
}

func (m *chaosMeter) close() { unix.Munmap(m.mem) }

// chaosCount is the word for the lines that a life has written to a stream ('o' or
// 'e').
func chaosCount(life int, stream byte) int {
	if stream == 'e' {
		return chaosFirst + 2*life + 1
	}
	return chaosFirst + 2*life
}

func (m *chaosMeter) add(word, n int)  { atomic.AddUint64(&m.words[word], uint64(n)) }
func (m *chaosMeter) get(word int) int { return int(atomic.LoadUint64(&m.words[word])) }
func (m *chaosMeter) ahead() int       { return m.get(meterWritten) - m.get(meterRead) }

// chaosAtomic is how much one write may have to be taken whole or not at all.
const chaosAtomic = 4096

// write writes n lines to a stream, all of them or none even if the process is
// killed in the middle, and then counts them. cut leaves out the last newline.
func (l *chaosLife) write(stream byte, n int, cut bool) {
	fd := 1
	if stream == 'e' {
		fd = 2
	}
	l.buf = l.buf[:0]
	first := l.next[stream]
	for ; n > 0; n-- {
		size := len(l.buf)
		l.buf = appendChaosLine(l.buf, l.name, l.number, stream, l.next[stream])
		if len(l.buf) > chaosAtomic {
			l.buf = l.buf[:size]
			break
		}
		l.next[stream]++
	}
	if cut {
		l.buf = l.buf[:len(l.buf)-1]
	}
	for {
		_, err := syscall.Write(fd, l.buf)
		if err == nil {
			break
		}
		if err != syscall.EINTR {
			// A closed pipe would be the fault of whoever reads it.
			l.note("error", int(err.(syscall.Errno)))
			os.Exit(96)
		}
	}
	l.meter.add(chaosCount(l.number, stream), l.next[stream]-first)
	l.meter.add(meterWritten, len(l.buf))
}

// chaosStill writes a line now and then until it is stopped.
func chaosStill(l *chaosLife) int {
	for l.paused(5 * time.Millisecond) {
		l.write("oe"[l.rng.IntN(2)], 1+l.rng.IntN(3), false)
	}
	return 0
}

// chaosDeaf only ends when it is killed.
func chaosDeaf(l *chaosLife) int {
	signal.Ignore(syscall.SIGTERM)
	return chaosStill(l)
}

// chaosFamily has a process beside it in its group.
func chaosFamily(l *chaosLife) int {
	if err := exec.Command("sleep", "100000").Start(); err != nil {
		return 97
	}
	return chaosStill(l)
}

// chaosAhead is how many bytes a process at full speed may be ahead of the test.
const chaosAhead = 4 << 20

// pour writes to the streams by turns at full speed.
func (l *chaosLife) pour(lines int, streams string) int {
	for i := 0; ; i++ {
		l.write(streams[i%len(streams)], lines, false)
		for wait := i%64 == 0; wait; wait = l.meter.ahead() > chaosAhead {
			if !l.paused(100 * time.Microsecond) {
				return 0
			}
		}
	}
}

// chaosBrief lives for a moment and ends in one of several ways, with its last
// words right before.
func chaosBrief(l *chaosLife) int {
	if l.rng.IntN(3) > 0 && !l.paused(time.Duration(l.rng.IntN(60))*time.Millisecond) {
		return 0
	}
	for range l.rng.IntN(40) {
		l.write("oe"[l.rng.IntN(2)], 1+l.rng.IntN(8), false)
	}
	if l.rng.IntN(5) == 0 {
		l.write('o', 1, true)
	}
	code := []int{0, 0, 1, 7, 42, 255, -int(syscall.SIGKILL), -int(syscall.SIGHUP)}[l.rng.IntN(8)]
	if code < 0 {
		l.note("end", code)
		syscall.Kill(os.Getpid(), syscall.Signal(-code))
		select {}
	}
	return code
}

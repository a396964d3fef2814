package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is for what happens soon; only a failure takes that long.
const patience = 30 * time.Second

// wire is two ends of a connection of a network.
func wire(t testing.TB, network string) (a, b stream) {
	t.Helper()
	where := "127.0.0.1:0"
	if network == "unix" {
		where = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, where)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type accepted struct {
		c   net.Conn
		err error
	}
	other := make(chan accepted, 1)
	go func() {
		c, err := l.Accept()
		other <- accepted{c, err}
	}()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got := <-other
	if got.err != nil {
		t.Fatal(got.err)
	}
	for _, c := range []net.Conn{c, got.c} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return c.(stream), got.c.(stream)
}

// A bridge is a relay between two wires: what the client has and what the backend has.
type bridge struct {
	client, backend stream
	tally           tally
	shared          shared
	over            chan struct{}
}

func newBridge(t testing.TB, front, back string) *bridge {
	b := &bridge{over: make(chan struct{})}
	b.shared.began = time.Now().Add(-1)
	var near, far stream
	b.client, near = wire(t, front)
	far, b.backend = wire(t, back)
	for _, c := range []stream{near, far} {
		c.SetDeadline(time.Time{})
	}
	go func() {
		relay(near, far, &b.shared, &b.tally)
		close(b.over)
	}()
	return b
}

func (b *bridge) ends(t *testing.T) {
	t.Helper()
	select {
	case <-b.over:
	case <-time.After(patience):
		t.Error("the relay goes on")
	}
}

func eachPair(t *testing.T, test func(t *testing.T, front, back string)) {
	for _, front := range []string{"tcp", "unix"} {
		for _, back := range []string{"tcp", "unix"} {
			t.Run(front+" to "+back, func(t *testing.T) { test(t, front, back) })
		}
	}
}

// TestFault53BytesArriveAsTheyWereSent in both directions at once, little and much, in pieces
// of all sizes, and each half-close arrives after the last byte.
func TestFault53BytesArriveAsTheyWereSent(t *testing.T) {
	eachPair(t, func(t *testing.T, front, back string) {
		b := newBridge(t, front, back)
		const size = 6 << 20
		sent := [2]chan [32]byte{make(chan [32]byte, 1), make(chan [32]byte, 1)}
		for i, c := range []stream{b.client, b.backend} {
			go func() {
				random := rand.New(rand.NewPCG(1, uint64(i)))
				sum := sha256.New()
				buf := make([]byte, 300<<10)
				for left := size; left > 0; {
					n := min(left, 1+random.IntN(1<<random.IntN(19)))
					for j := range buf[:n] {
						buf[j] = byte(random.Uint32())
					}
					if _, err := c.Write(buf[:n]); err != nil {
						t.Errorf("end %d: %v", i, err)
						break
					}
					sum.Write(buf[:n])
					left -= n
				}
				c.CloseWrite()
				sent[i] <- [32]byte(sum.Sum(nil))
			}()
		}
		got := make(chan error, 2)
		for i, c := range []stream{b.client, b.backend} {
			go func() {
				sum := sha256.New()
				n, err := io.Copy(sum, c)
				if want := <-sent[1-i]; err == nil && (n != size || [32]byte(sum.Sum(nil)) != want) {
					err = fmt.Errorf("end %d got %d bytes, which are others", i, n)
				}
				got <- err
			}()
		}
		for range 2 {
			if err := <-got; err != nil {
				t.Error(err)
			}
		}
		b.ends(t)
		if in, out := b.tally.in.Load(), b.tally.out.Load(); in != size || out != size {
			t.Errorf("counted %d and %d", in, out)
		}
		if b.tally.last.Load() == 0 {
			t.Error("no byte was ever carried")
		}
	})
}

func TestFault53EachHalfIsClosedByItself(t *testing.T) {
	eachPair(t, func(t *testing.T, front, back string) {
		b := newBridge(t, front, back)
		b.client.Write([]byte("question"))
		b.client.CloseWrite()
		if got, err := io.ReadAll(b.backend); err != nil || string(got) != "question" {
			t.Fatalf("%q, %v", got, err)
		}
		// The other way goes on.
		for range 3 {
			b.backend.Write([]byte("answer"))
			got := make([]byte, 6)
			if _, err := io.ReadFull(b.client, got); err != nil || string(got) != "answer" {
				t.Fatalf("%q, %v", got, err)
			}
		}
		b.backend.Close()
		if got, err := io.ReadAll(b.client); err != nil || len(got) > 0 {
			t.Errorf("%q, %v", got, err)
		}
		b.ends(t)
	})
}

func TestFault53AResetIsPassedOnAsAReset(t *testing.T) {
	b := newBridge(t, "tcp", "tcp")
	b.client.Write([]byte("x"))
	one := make([]byte, 1)
	if _, err := io.ReadFull(b.backend, one); err != nil {
		t.Fatal(err)
	}
	abort(b.client)
	if _, err := b.backend.Read(one); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the backend got %v", err)
	}
	b.ends(t)
}

func TestWhatTheBackendSaidBeforeItClosedArrives(t *testing.T) {
	eachPair(t, func(t *testing.T, front, back string) {
		b := newBridge(t, front, back)
		words := bytes.Repeat([]byte("goodbye "), 8192)
		go func() {
			b.backend.Write(words)
			b.backend.Close()
		}()
		got, err := io.ReadAll(b.client)
		if err != nil || !bytes.Equal(got, words) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		b.client.Close()
		b.ends(t)
	})
}

// TestFault53ASlowReaderHoldsUpItsWriter: who sends to somebody who does not read waits, with
// a bounded number of bytes on the way, and gets all of them through in the end.
func TestFault53ASlowReaderHoldsUpItsWriter(t *testing.T) {
	eachPair(t, func(t *testing.T, front, back string) {
		b := newBridge(t, front, back)
		const size = 64 << 20
		var sent atomic.Int64
		done := make(chan error, 1)
		go func() {
			piece := make([]byte, 64<<10)
			for range size / len(piece) {
				n, err := b.client.Write(piece)
				sent.Add(int64(n))
				if err != nil {
					done <- err
					return
				}
			}
			done <- b.client.CloseWrite()
		}()
		// It comes to rest: nothing more is taken.
		deadline := time.Now().Add(patience)
		for last, still := int64(-1), 0; still < 5; {
			if time.Now().After(deadline) {
				t.Fatal("it never rests")
			}
			<-time.After(20 * time.Millisecond)
			if now := sent.Load(); now == last && now > 0 {
				still++
			} else {
				last, still = now, 0
			}
		}
		if on := sent.Load(); on >= size {
			t.Fatalf("all of %d bytes are on their way, and nobody reads", on)
		}
		if n, err := io.Copy(io.Discard, b.backend); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		b.backend.Close()
		b.ends(t)
	})
}

func TestAnIdleConnectionHoldsNothing(t *testing.T) {
	b := newBridge(t, "tcp", "unix")
	go func() { b.client.Write(make([]byte, 8<<20)) }()
	if _, err := io.CopyN(io.Discard, b.backend, 8<<20); err != nil {
		t.Fatal(err)
	}
	// All pipes are back, empty.
	deadline := time.Now().Add(patience)
	for {
		b.shared.pipes.mu.Lock()
		n := len(b.shared.pipes.free)
		b.shared.pipes.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d pipes are free", n)
		}
		<-time.After(time.Millisecond)
	}
	b.client.Close()
	b.backend.Close()
	b.ends(t)
	for _, p := range b.shared.pipes.free {
		syscall.Close(p.r)
		syscall.Close(p.w)
	}
}

package pid1

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A console writes messages, one line each, and never makes the caller wait: a
// terminal can be stopped and a pipe can be full. What does not fit is counted.
type console struct {
	lines chan line
	lost  atomic.Int64
}

type line struct {
	text    string
	written chan<- struct{} // closed when everything before it is written
	resume  <-chan struct{} // when the writer goes on after that
}

// newConsole starts the writer.
func newConsole(out io.Writer) *console {
	c := &console{lines: make(chan line, 256)}
	go c.write(out)
	return c
}

// printf queues a line.
func (c *console) printf(format string, args ...any) {
	select {
	case c.lines <- line{text: fmt.Sprintf(format, args...)}:
	default:
		c.lost.Add(1)
	}
}

// flush waits until all that was queued is written, but not longer than bound.
func (c *console) flush(bound time.Duration) {
	late := time.NewTimer(bound)
	defer late.Stop()
	written := make(chan struct{})
	select {
	case c.lines <- line{written: written}:
	case <-late.C:
		return
	}
	select {
	case <-written:
	case <-late.C:
	}
}

// pause stops the writer after what it is writing now, and waits for that up to the
// bound. What is said afterwards is written after resume.
func (c *console) pause(bound time.Duration) (resume func()) {
	written, resumed := make(chan struct{}), make(chan struct{})
	// Ahead of all others, which wait.
	before := c.takeBack()
	select {
	case c.lines <- line{written: written, resume: resumed}:
	default: // others were faster; the last line may lose its end
		close(written)
	}
	for _, text := range before {
		c.printf("%s", text)
	}
	late := time.NewTimer(bound)
	defer late.Stop()
	select {
	case <-written:
	case <-late.C:
	}
	return func() { close(resumed) }
}

// takeBack takes out what is not being written yet.
func (c *console) takeBack() (texts []string) {
	for {
		select {
		case l := <-c.lines:
			if l.written != nil {
				close(l.written)
				continue
			}
			texts = append(texts, l.text)
		default:
			return texts
		}
	}
}

func (c *console) write(out io.Writer) {
	// In the background of a terminal that stops its writers the kernel would send
	// SIGTTOU, which is caught, and have the write repeated for ever. To a thread
	// that blocks the signal it lets the write pass. The thread is not given back.
	runtime.LockOSThread()
	var set unix.Sigset_t
	set.Val[0] |= 1 << (unix.SIGTTOU - 1)
	for l := range c.lines {
		if l.written != nil {
			close(l.written)
			if l.resume != nil {
				<-l.resume
			}
			continue
		}
		if n := c.lost.Swap(0); n > 0 {
			l.text = fmt.Sprintf("%s\nzinit: %d more messages did not get through", l.text, n)
		}
		// Each time, since an exec that failed unblocks. If it is refused, the signal is
		// merely not blocked.
		_ = unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
		// There is nobody to tell that nobody can be told.
		_, _ = io.WriteString(out, "zinit: "+l.text+"\n")
	}
}

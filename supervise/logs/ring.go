package logs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Priorities, as the kernel and the system log have them: the facility is daemon.
const (
	facility = 3 << 3
	warning  = facility | 4
	notice   = facility | 5
	info     = facility | 6
)

// priorityOf tells how urgent a line is: what services say on stderr is a warning,
// for most of them say everything there.
func priorityOf(s Stream) int {
	switch s {
	case Stderr:
		return warning
	case Zinit:
		return notice
	}
	return info
}

const (
	// ringRecord is how much the kernel takes at once, with some room: it refuses
	// what is longer than a record, 976 bytes in the smallest case.
	ringRecord = 900
	// While kernel.printk_devkmsg is "ratelimit", which it is unless somebody changes
	// it, the kernel swallows what is more than ringBurst records of one writer in
	// ringWindow. We keep below it, since it does not say what it swallows.
	ringBurst  = 10
	ringWindow = 5*time.Second + 100*time.Millisecond
	// outletRetry is how long an outlet is left alone that failed.
	outletRetry = 10 * time.Second
)

// A ringOutlet writes lines to the log of the kernel.
type ringOutlet struct {
	service string
	path    string
	f       *os.File
	free    bool // the kernel takes everything
	from    time.Time
	sent    int // since from
	missing shortfall
	retry   time.Time
	said    bool
}

func (o *ringOutlet) put(lines []Line, lost int64) (problem string) {
	o.missing.bytes += lost
	if len(lines) == 0 {
		return o.settle()
	}
	for i := range lines {
		if o.f == nil {
			if problem = o.open(); o.f == nil {
				o.missing.lines += int64(len(lines) - i)
				return problem
			}
		}
		problem = o.settle()
		// One record is left for the mark of what is dropped.
		pieces := split(lines[i].Text, ringRecord-len(o.service)-len("<30>: \n"))
		if o.f == nil || !o.room(len(pieces)+1) && !(o.sent == 0 && len(pieces) >= ringBurst) {
			o.missing.lines++
			continue
		}
		for _, text := range pieces {
			if e := o.send(priorityOf(lines[i].Stream), text); e != "" {
				problem = e
			}
		}
	}
	return problem
}

// settle says what was dropped, when the kernel will take that.
func (o *ringOutlet) settle() (problem string) {
	if text := o.missing.String(); text != "" && o.f != nil && o.room(2) {
		o.missing = shortfall{}
		problem = o.send(notice, []byte(text))
	}
	return problem
}

func (o *ringOutlet) owes() time.Duration {
	if o.f == nil || o.missing == (shortfall{}) {
		return 0
	}
	return max(time.Millisecond, ringWindow-time.Since(o.from)+time.Millisecond)
}

// room reports that the kernel will take n more records.
func (o *ringOutlet) room(n int) bool {
	if o.free {
		return true
	}
	if now := time.Now(); o.from.IsZero() || now.Sub(o.from) > ringWindow {
		o.from, o.sent = now, 0
	}
	return o.sent+n <= ringBurst
}

// send writes one record.
func (o *ringOutlet) send(priority int, text []byte) (problem string) {
	if o.f == nil {
		return ""
	}
	b := append([]byte("<"+strconv.Itoa(priority)+">"+o.service+": "), text...)
	b = append(bytes.ReplaceAll(b, []byte{0}, []byte(`\0`)), '\n')
	o.sent++
	if _, err := o.f.Write(b); err != nil {
		o.missing.lines++
		if e := errno(err); e != syscall.EINVAL && e != syscall.EAGAIN { // they are about this one record
			return o.fail(err)
		}
	}
	return ""
}

func (o *ringOutlet) open() (problem string) {
	if time.Now().Before(o.retry) {
		return ""
	}
	f, err := os.OpenFile(o.path, os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return o.fail(err)
	}
	limit, _ := os.ReadFile("/proc/sys/kernel/printk_devkmsg")
	o.free = strings.TrimSpace(string(limit)) == "on"
	o.f, o.from, o.said = f, time.Time{}, false
	return ""
}

func (o *ringOutlet) fail(err error) string {
	o.close()
	o.retry = time.Now().Add(outletRetry)
	if o.said {
		return ""
	}
	o.said = true
	return fmt.Sprintf("log of the kernel: %s: %v: lines do not go there until that works", o.path, errno(err))
}

func (o *ringOutlet) close() {
	if o.f != nil {
		o.f.Close() // each write has been checked
		o.f = nil
	}
}

// split cuts a text into pieces of at most most bytes, between two characters where
// that is possible. An empty text is one piece.
func split(text []byte, most int) (pieces [][]byte) {
	most = max(most, 16)
	for len(text) > most {
		n := most
		for n > most-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		if !utf8.RuneStart(text[n]) {
			n = most
		}
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return append(pieces, text)
}

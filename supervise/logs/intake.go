package logs

import (
	"bytes"
	"errors"
	"net"
	"time"
)

// maxMessage is how long a message to the system log may be; the rest of it is cut
// off by the kernel.
const maxMessage = 32 << 10

// intakeRest is how long nothing is read after the socket failed.
const intakeRest = time.Second

// Nobody is the log of what came to the socket of the system log and is of no
// service. It is no name that a service can have.
const Nobody = "@syslog"

// Intake reads the socket of the system log until it is closed, which is left to the
// caller. A message whose tag is the name of a service goes to that service's log, as
// lines of the stream Syslog; others go, behind their tags, to Nobody's.
func (l *Logs) Intake(c net.PacketConn) {
	l.Configure(Nobody, Options{})
	go func() {
		b := make([]byte, maxMessage)
		for {
			n, _, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				<-time.After(intakeRest)
				continue
			}
			l.take(b[:n])
		}
	}()
}

// Has reports whether there is a log of that name.
func (l *Logs) Has(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.services[name] != nil
}

// take puts a message where it belongs.
func (l *Logs) take(b []byte) {
	m := parseMessage(b)
	l.mu.Lock()
	s := l.services[m.tag]
	text := m.text
	if s == nil || m.tag == Nobody {
		s, text = l.serviceLocked(Nobody), m.line
	}
	if l.closed {
		s = nil
	}
	l.mu.Unlock()
	if text = withoutEmptyLines(text); s != nil && len(text) > 0 {
		s.store.Add(Syslog, string(text))
	}
}

// withoutEmptyLines leaves one newline between two lines, and none behind the last.
func withoutEmptyLines(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for line := range bytes.SplitSeq(b, []byte{'\n'}) {
		if line = bytes.TrimRight(line, "\r"); len(line) > 0 {
			if len(out) > 0 {
				out = append(out, '\n')
			}
			out = append(out, line...)
		}
	}
	return out
}

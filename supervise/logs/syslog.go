package logs

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// syslogRecord is how much text goes into one datagram: every receiver takes 8 KiB.
	syslogRecord = 7 << 10
	// syslogWait is how long a receiver may have no room.
	syslogWait = time.Second
)

// A syslogOutlet sends lines to the socket of the system log, as RFC 5424 has it:
// APP-NAME is the service, PROCID its main process, MSGID the stream. A receiver that
// is gone is looked for with a later line.
type syslogOutlet struct {
	service string
	path    string
	pid     func(service string) int
	own     bool
	conn    net.Conn
	host    string
	missing shortfall
	retry   time.Time
	said    bool
}

func (o *syslogOutlet) put(lines []Line, lost int64) (problem string) {
	if o.own {
		if o.said {
			return ""
		}
		o.said = true
		return "system log: zinit itself reads " + o.path + ": nothing is sent there, it is all here"
	}
	o.missing.bytes += lost
	pid := o.pid(o.service)
	for i := range lines {
		if text := o.missing.String(); text != "" {
			if problem = o.send(Line{Time: time.Now(), Stream: Zinit}, []byte(text), pid); o.conn == nil {
				o.missing.lines += int64(len(lines) - i)
				return problem
			}
			o.missing = shortfall{}
		}
		for _, text := range split(lines[i].Text, syslogRecord) {
			if problem = o.send(lines[i], text, pid); o.conn == nil {
				o.missing.lines += int64(len(lines) - i)
				return problem
			}
		}
	}
	return problem
}

// send sends one message. The connection is gone when that fails.
func (o *syslogOutlet) send(l Line, text []byte, pid int) (problem string) {
	message := o.message(l, text, pid)
	if o.conn != nil && o.write(message) == nil {
		return ""
	}
	// The receiver may be another one by now.
	o.close()
	if time.Now().Before(o.retry) {
		return ""
	}
	conn, err := net.Dial("unixgram", o.path)
	if err == nil {
		o.conn = conn
		if o.host, err = os.Hostname(); err != nil {
			o.host = ""
		}
		err = o.write(o.message(l, text, pid))
	}
	if err == nil {
		o.said = false
		return ""
	}
	o.close()
	o.retry = time.Now().Add(outletRetry / 10)
	if o.said {
		return ""
	}
	o.said = true
	return fmt.Sprintf("system log: %s: %v: lines do not go there until that works", o.path, reasonOf(err))
}

func (o *syslogOutlet) write(message []byte) error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(syslogWait)); err != nil {
		return err
	}
	_, err := o.conn.Write(message)
	return err
}

func (o *syslogOutlet) message(l Line, text []byte, pid int) []byte {
	proc := "-"
	if pid > 0 {
		proc = strconv.Itoa(pid)
	}
	b := fmt.Appendf(nil, "<%d>1 %s %s %s %s %s - ", priorityOf(l.Stream), l.Time.Format("2006-01-02T15:04:05.000Z07:00"),
		printASCII(o.host, 255), printASCII(o.service, 48), proc, l.Stream)
	return append(b, text...)
}

func (o *syslogOutlet) owes() time.Duration { return 0 }

func (o *syslogOutlet) close() {
	if o.conn != nil {
		o.conn.Close() // nothing is buffered
		o.conn = nil
	}
}

// printASCII is a field of a header: visible characters, "-" when there is none.
func printASCII(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// reasonOf is the bare reason of a network error.
func reasonOf(err error) error {
	if op, ok := err.(*net.OpError); ok {
		err = op.Err
	}
	if sys, ok := err.(*os.SyscallError); ok {
		err = sys.Err
	}
	return err
}

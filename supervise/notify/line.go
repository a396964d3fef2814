package notify

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// ServeLine reads a notification descriptor (s6-notifyoncheck(8) describes it): the
// first line feed means that the service is ready, whatever stands before it. It
// returns when deliver was called, or when every write end is closed, or r is; the
// caller closes r.
func ServeLine(r *os.File, deliver func(Notice)) error {
	var buf [512]byte
	for {
		n, err := r.Read(buf[:])
		if bytes.IndexByte(buf[:n], '\n') >= 0 {
			deliver(Notice{FromFD: true, Ready: true})
			return nil
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
}

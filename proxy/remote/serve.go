package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"zinit/proxy"
)

// Serve carries out orders about a set that come by an end of a channel, which stays
// the caller's, until nobody holds the other end any more, or a drain has ended: nil
// then.
func Serve(f *os.File, set *proxy.Set) error {
	conn, err := attach(f)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4*maxListeners))
	for {
		n, rights, flags, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil || n == 0 {
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || err == nil || errors.Is(err, unix.ECONNRESET) {
				return nil
			}
			return fmt.Errorf("cannot take orders: %w", err)
		}
		files := received(oob[:rights])
		var o order
		var a answer
		switch err := json.Unmarshal(buf[:n], &o); {
		case err != nil:
			a.Error = "cannot read an order: " + err.Error()
		case flags&unix.MSG_CTRUNC != 0:
			a.Error = "descriptors were lost on the way: raise the limit on open files"
		default:
			a = carryOut(o, files, set)
		}
		for _, f := range files {
			f.Close()
		}
		a.ID = o.ID
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		switch _, err := conn.Write(text); {
		case errors.Is(err, net.ErrClosed): // a drain ended in the meantime
			return nil
		case err != nil && !errors.Is(err, unix.EPIPE):
			return fmt.Errorf("cannot answer: %w", err)
		}
		if o.Drain {
			over := set.Drain()
			go func() {
				<-over
				conn.Close()
			}()
		}
	}
}

// received is the descriptors of a message.
func received(oob []byte) (files []*os.File) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	return files
}

// carryOut does what an order asks for.
func carryOut(o order, files []*os.File, set *proxy.Set) (a answer) {
	switch {
	case o.Put != nil:
		if err := put(o, files, set); err != nil {
			a.Error = err.Error()
		}
	case o.Delete != "":
		set.Delete(o.Delete)
	case o.Status:
		for _, s := range set.Status() {
			if s.Name <= o.After && o.After != "" {
				continue
			}
			if a.More = len(a.Status) == page; a.More {
				break
			}
			a.Status = append(a.Status, s)
		}
	case o.Serving != "":
		a.Serving = set.Serving(o.Serving)
	}
	return a
}

func put(o order, files []*os.File, set *proxy.Set) error {
	if len(files) != len(o.Put.Listen) || len(o.Files) != len(files) {
		return fmt.Errorf("%d sockets came for %d addresses", len(files), len(o.Put.Listen))
	}
	var listeners []*proxy.Listener
	for i, f := range files {
		l, err := proxy.Adopt(f, o.Put.Listen[i], o.Files[i])
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	return set.Put(*o.Put, listeners)
}

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/logs"
)

const (
	// syslogPath is the socket of the system log.
	syslogPath = "/dev/log"
	// syslogVar turns its intake off, with 0, or names another path.
	syslogVar = "ZINIT_SYSLOG"
	// syslogName begins the name under which the keeper holds it; then come the
	// numbers of its file, as in listenName.
	syslogName = "syslog/"
)

// messages is the socket of the system log, in our hands.
type messages struct {
	path string
	conn net.PacketConn
	id   sock.ID
}

// wantsMessages reports that the socket of the system log is ours to read: under
// process 1, when that is our parent, nobody else does.
func wantsMessages(parent int, flags env.ServerFlags, getenv func(string) string) bool {
	return (flags.Pid1Mode || parent == 1) && getenv(syslogVar) != "0"
}

// A releaser is a holder that can forget, too.
type releaser interface {
	holder
	Release(name string)
}

// openOutlets opens the ways of lines that do not come from a pipe or go elsewhere
// than into a file.
func (s *server) openOutlets(e *env.Env, kept map[string]*os.File, keeper releaser) *messages {
	var in *messages
	if wantsMessages(os.Getppid(), s.flags, e.Getenv) {
		path := syslogPath
		if own := e.Getenv(syslogVar); filepath.IsAbs(own) {
			path = own
		}
		in = openMessages(path, kept, keeper, s.log)
	}
	var errs io.Writer
	if s.flags.Container {
		errs = e.Stderr
	}
	s.logs.SetOutlets(logs.Outlets{
		Stdout: e.Stdout, Stderr: errs, Colour: isTerminal(e.Stdout) && e.Getenv("NO_COLOR") == "",
		OwnSyslog: in != nil && in.path == syslogPath,
		MainPid: func(service string) int {
			if v := s.sup.Snapshot().Find(service); v != nil {
				return pidOf(v)
			}
			return 0
		},
	})
	if in != nil {
		s.logs.Intake(in.conn)
	}
	return in
}

// openMessages takes over the socket that the keeper holds, or makes it and has the
// keeper hold it: what is sent while no server is there waits. Without one it is nil:
// a warning has said why.
func openMessages(path string, kept map[string]*os.File, keeper releaser, log *slog.Logger) *messages {
	for name, f := range kept {
		if !strings.HasPrefix(name, syslogName) {
			continue
		}
		in := &messages{path: path}
		_, err := fmt.Sscanf(name, syslogName+"%d/%d", &in.id.Dev, &in.id.Ino)
		if err == nil {
			in.conn, err = net.FilePacketConn(f)
		}
		f.Close()
		if now, e := sock.Identify(path); err == nil && e == nil && now == in.id {
			return in
		}
		if in.conn != nil {
			in.conn.Close() // somebody took its file away: nobody can send to it
		}
		keeper.Release(name)
	}
	in, err := makeMessages(path, keeper)
	if err != nil {
		level := slog.LevelWarn
		if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
			level = slog.LevelInfo // /dev is not ours
		}
		log.Log(context.Background(), level, "the system log is not read", "error", err)
		return nil
	}
	return in
}

// makeMessages makes the socket, for everybody to send to. What is there already is
// replaced only if it is a socket that nobody reads.
func makeMessages(path string, keeper holder) (*messages, error) {
	if err := mayReplace(path); err != nil {
		return nil, err
	}
	fresh := path + ".zinit"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot remove %s: %w", fresh, err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: fresh, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket %s: %w", path, err)
	}
	in := &messages{path: path, conn: conn}
	if err := in.publish(conn, fresh, keeper); err != nil {
		conn.Close()
		os.Remove(fresh) // it may have its name already
		return nil, fmt.Errorf("cannot make the socket %s: %w", path, err)
	}
	return in, nil
}

// publish gives the keeper a copy of the socket and then the file its name.
func (in *messages) publish(conn *net.UnixConn, fresh string, keeper holder) error {
	if err := os.Chmod(fresh, 0o666); err != nil {
		return err
	}
	var err error
	if in.id, err = sock.Identify(fresh); err != nil {
		return err
	}
	f, err := conn.File()
	if err != nil {
		return err
	}
	defer f.Close()
	if err := keeper.Keep(fmt.Sprintf("%s%d/%d", syslogName, in.id.Dev, in.id.Ino), f); err != nil {
		return err
	}
	return os.Rename(fresh, in.path)
}

// mayReplace refuses to take the place of what is not a socket, or is read by
// somebody.
func mayReplace(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: remove it, or set %s=0", path, syslogVar)
	}
	conn, err := net.Dial("unixgram", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s is read by another program: stop it, or set %s=0", path, syslogVar)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether %s is in use: %w", path, err)
	}
	return nil
}

// end takes the socket away, when no server comes after this one.
func (in *messages) end(log *slog.Logger) {
	if in == nil {
		return
	}
	in.conn.Close() // what is sent from now on is refused
	if err := sock.Remove(in.path, in.id); err != nil {
		log.Debug("the socket of the system log is left behind", "error", err)
	}
}

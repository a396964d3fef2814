package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// socketProxyd is the program of systemd that does the same without starting anything.
const socketProxyd = "/lib/systemd/systemd-socket-proxyd"

// The ways to the backend that are compared.
const (
	benchDirect = iota
	benchProxied
	benchSocketProxyd
	benchHAProxy
	benchWays
)

// benchStart starts a program that ends with its standard input, or is killed.
func benchStart(cmd *exec.Cmd) (pid int, end func(), err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	return cmd.Process.Pid, func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait() // how it ended makes no difference any more
	}, nil
}

// A benchBegin starts a proxy; a program that is not installed gives no end.
type benchBegin func(dir string, from, to benchPath, server string) (pid int, end func(), err error)

// benchWay starts a proxy of a kind, and waits until it carries.
func (r *benchRig) benchWay(way int, begin benchBegin, dir string, to benchPath, server string) (from benchPath, end func(), err error) {
	from = benchPath{network: to.network, address: filepath.Join(dir, fmt.Sprint("front", way))}
	if to.network == "tcp" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return from, nil, err
		}
		from.address = l.Addr().String()
		l.Close()
	}
	from.pid, end, err = begin(dir, from, to, server)
	if err != nil || end == nil {
		return from, nil, err
	}
	err = r.poll("a proxy", time.Millisecond, 10*time.Second, func() (bool, error) {
		c, err := from.dial("ex")
		if err != nil {
			return false, nil
		}
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		return err == nil, nil
	})
	if err != nil {
		end()
	}
	return from, end, err
}

func (r *benchRig) benchXinet(_ string, from, to benchPath, server string) (int, func(), error) {
	cmd := exec.Command(r.program("zinit"))
	cmd.Args = []string{"xinet", "--listen", from.network + ":" + from.address, "--backend", to.network + ":" + to.address, "--service", "s00000", "--socket", server}
	return benchStart(cmd)
}

// benchProxyd gives the program of systemd the socket that it wants to be born with.
func benchProxyd(_ string, from, to benchPath, _ string) (int, func(), error) {
	if _, err := os.Stat(socketProxyd); err != nil {
		return 0, nil, nil
	}
	l, err := net.Listen(from.network, from.address)
	if err != nil {
		return 0, nil, err
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return 0, nil, err
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	l.Close()
	defer f.Close()
	cmd := exec.Command("/bin/sh", "-c", "LISTEN_FDS=1 LISTEN_PID=$$ exec "+socketProxyd+" "+strings.TrimPrefix(to.address, "tcp:"))
	cmd.ExtraFiles = []*os.File{f}
	return benchStart(cmd)
}

// benchHaproxy has haproxy pass on streams, as many at once as there are descriptors for.
func benchHaproxy(dir string, from, to benchPath, _ string) (int, func(), error) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if _, err := os.Stat("/usr/sbin/haproxy"); err != nil {
			return 0, nil, nil
		}
		program = "/usr/sbin/haproxy"
	}
	prefix := map[string]string{"unix": "unix@", "tcp": ""}[from.network]
	text := fmt.Sprintf("global\n maxconn 1000\ndefaults\n mode tcp\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n"+
		"frontend f\n bind %s%s\n default_backend b\nbackend b\n server s %s%s\n", prefix, from.address, prefix, to.address)
	path := filepath.Join(dir, "haproxy-"+from.network)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return 0, nil, err
	}
	return benchStart(exec.Command(program, "-q", "-db", "-f", path))
}

package main_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// benchBackVar names the directory in which this program is a backend of proxies, when
// it is run again as one.
const benchBackVar = "ZINIT_BENCH_BACK"

// benchBulk is how many bytes show how fast much is carried.
const benchBulk = 768 << 20

// socketProxyd is the program of systemd that does the same without starting anything.
const socketProxyd = "/lib/systemd/systemd-socket-proxyd"

// benchServeBack listens on a unix socket and on a TCP port, whose number it writes
// down. A connection that begins with e is echoed; one that begins with d is answered
// with one byte when benchBulk bytes have come. It ends with its standard input.
func benchServeBack(dir string) error {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	unix, err := net.Listen("unix", filepath.Join(dir, "back"))
	if err != nil {
		return err
	}
	for _, l := range []net.Listener{tcp, unix} {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go benchBack(c)
			}
		}()
	}
	port := filepath.Join(dir, "port")
	if err := errors.Join(os.WriteFile(port+"~", []byte(tcp.Addr().String()), 0o600), os.Rename(port+"~", port)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func benchBack(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 256<<10)
	if _, err := io.ReadFull(c, buf[:1]); err != nil {
		return
	}
	echo := buf[0] == 'e'
	for left := benchBulk; ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if left -= n; left == 0 && !echo {
			c.Write(buf[:1])
			return
		}
		if echo {
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// A benchPath is a way to the backend.
type benchPath struct{ network, address string }

func (p benchPath) dial(mode string) (net.Conn, error) {
	c, err := net.Dial(p.network, p.address)
	if err == nil {
		_, err = c.Write([]byte(mode))
	}
	return c, err
}

// bulk is bytes per second over one connection, in GB.
func (p benchPath) bulk() (float64, error) {
	c, err := p.dial("d")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	const size = benchBulk
	piece := make([]byte, 256<<10)
	began := time.Now()
	for range size / len(piece) {
		if _, err := c.Write(piece); err != nil {
			return 0, err
		}
	}
	if _, err := io.ReadFull(c, piece[:1]); err != nil {
		return 0, err
	}
	return size / time.Since(began).Seconds() / 1e9, nil
}

// ping is the median of a round trip of 64 bytes, in microseconds.
func (p benchPath) ping() (float64, error) {
	c, err := p.dial("e")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, 64)
	var all []float64
	for range 5000 {
		began := time.Now()
		if _, err := c.Write(buf); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(began))/float64(time.Microsecond))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// trips is round trips per second over many connections at once.
func (p benchPath) trips() (float64, error) {
	const conns, each = 64, 400
	failed := make(chan error, conns)
	var group sync.WaitGroup
	began := time.Now()
	for range conns {
		group.Go(func() {
			c, err := p.dial("e")
			if err != nil {
				failed <- err
				return
			}
			defer c.Close()
			buf := make([]byte, 64)
			for range each {
				if _, err = c.Write(buf); err == nil {
					_, err = io.ReadFull(c, buf)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failed:
		return 0, err
	default:
		return conns * each / time.Since(began).Seconds(), nil
	}
}

// connects is connections per second, one after the other, each with a round trip.
func (p benchPath) connects() (float64, error) {
	const times = 1500
	buf := make([]byte, 1)
	began := time.Now()
	for range times {
		c, err := p.dial("ex")
		if err == nil {
			_, err = io.ReadFull(c, buf)
			c.Close()
		}
		if err != nil {
			return 0, err
		}
	}
	return times / time.Since(began).Seconds(), nil
}

// benchStart starts a program that ends with its standard input, or is killed.
func benchStart(cmd *exec.Cmd) (end func(), err error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait() // how it ended makes no difference any more
	}, nil
}

// xinet compares a proxy with no proxy, and with that of systemd where it is.
func (r *benchRig) xinet() (rows []benchRow, err error) {
	dir, err := r.room()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	back := exec.Command(self, "-test.run=^$", "-test.bench=^BenchmarkComparison$", "-test.benchtime=1x")
	back.Env = append(os.Environ(), benchBackVar+"="+dir)
	end, err := benchStart(back)
	if err != nil {
		return nil, err
	}
	defer end()
	var port []byte
	err = r.poll("the backend", time.Millisecond, 10*time.Second, func() (bool, error) {
		port, err = os.ReadFile(filepath.Join(dir, "port"))
		return err == nil, nil
	})
	if err != nil {
		return nil, err
	}
	s, err := r.start(benchOurs, independent(1))
	if err != nil {
		return nil, err
	}
	defer s.kill()
	direct := map[string]benchPath{"tcp": {"tcp", string(port)}, "unix": {"unix", filepath.Join(dir, "back")}}
	sides := []map[string]benchPath{direct, {}, {}}
	for network, to := range direct {
		for i, begin := range []func(dir string, from, to benchPath, server string) (func(), error){r.benchXinet, benchProxyd} {
			from := benchPath{network, filepath.Join(dir, fmt.Sprint("front", i))}
			if network == "tcp" {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return nil, err
				}
				from.address = l.Addr().String()
				l.Close()
			}
			end, err := begin(dir, from, to, s.socket())
			if err != nil {
				return nil, err
			}
			if end == nil {
				continue // it is not there
			}
			defer end()
			sides[i+1][network] = from
			err = r.poll("a proxy", time.Millisecond, 10*time.Second, func() (bool, error) {
				_, err := from.connects()
				return err == nil, nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return r.xinetRows(sides)
}

func (r *benchRig) xinetRows(sides []map[string]benchPath) (rows []benchRow, err error) {
	for _, c := range []struct {
		network, name, unit string
		measure             func(benchPath) (float64, error)
		goal, proxyd        float64
		atLeast             bool
	}{
		{"tcp", "xinet, TCP, one connection", "GB/s", benchPath.bulk, 0, 1.3, true},
		{"unix", "xinet, unix, one connection", "GB/s", benchPath.bulk, 0, 1, true},
		{"tcp", "xinet, TCP, 64 bytes there and back, p50", "us", benchPath.ping, 2.8, 0, false},
		{"tcp", "xinet, TCP, the same over 64 connections", "/s", benchPath.trips, 0, 0, true},
		{"tcp", "xinet, TCP, connect, one byte, close", "/s", benchPath.connects, 0, 0, true},
		{"unix", "xinet, unix, connect, one byte, close", "/s", benchPath.connects, 0, 0, true},
	} {
		var samples [3][]float64
		for range 5 {
			for i, side := range sides {
				path, there := side[c.network]
				if !there {
					continue
				}
				v, err := c.measure(path)
				if err != nil {
					return rows, fmt.Errorf("%s, side %d: %w", c.name, i, err)
				}
				samples[i] = append(samples[i], v)
			}
		}
		row := benchRow{name: c.name, unit: c.unit, against: benchFloor, goal: c.goal, atLeast: c.atLeast}
		row.values[benchOurs], row.values[benchFloor] = benchMedian(samples[1]), benchMedian(samples[0])
		rows = append(rows, row)
		if len(samples[2]) > 0 {
			row.name, row.goal = "  against systemd-socket-proxyd", c.proxyd
			row.values[benchFloor] = benchMedian(samples[2])
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (r *benchRig) benchXinet(_ string, from, to benchPath, server string) (func(), error) {
	cmd := exec.Command(r.program("zinit"))
	cmd.Args = []string{"xinet", "--listen", from.network + ":" + from.address, "--backend", to.network + ":" + to.address, "--service", "s00000", "--socket", server}
	return benchStart(cmd)
}

// benchProxyd gives the program of systemd the socket that it wants to be born with.
func benchProxyd(_ string, from, to benchPath, _ string) (func(), error) {
	if _, err := os.Stat(socketProxyd); err != nil {
		return nil, nil
	}
	l, err := net.Listen(from.network, from.address)
	if err != nil {
		return nil, err
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
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

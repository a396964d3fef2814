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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"zinit/sock"
)

// benchBackVar names the directory in which this program is a backend of proxies, when
// it is run again as one.
const benchBackVar = "ZINIT_BENCH_BACK"

// benchBulk is how many bytes show how fast much is carried.
const benchBulk = 384 << 20

// benchServeBack listens on a unix socket and on a TCP port, whose number it writes
// down. A connection that begins with e is echoed; one that begins with d is answered
// with one byte when benchBulk bytes have come, and one that begins with s when an eighth
// of them have. It ends with its standard input.
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
	echo, left := buf[0] == 'e', benchBulk
	if buf[0] == 's' {
		left /= 8
	}
	for {
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
type benchPath struct {
	network, address string
	pid              int // of the proxy; 0: there is none
}

// cpu is the CPU time of the proxy in seconds, to a tick of 10 ms.
func (p benchPath) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		return 0 // there is none
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
	user, _ := strconv.Atoi(fields[12]) // the kernel writes numbers
	system, _ := strconv.Atoi(fields[13])
	return float64(user+system) / 100
}

// switches is how often threads of the proxy have given way or have been made to.
func (p benchPath) switches() (n int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.pid)) // the pattern is good
	for _, path := range tasks {
		for _, key := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			some, _ := benchField(path, key) // a thread may have ended
			n += some
		}
	}
	return n
}

func (p benchPath) dial(mode string) (net.Conn, error) {
	c, err := net.Dial(p.network, p.address)
	if err == nil {
		_, err = c.Write([]byte(mode))
	}
	return c, err
}

// bulk is bytes per second over one connection, in GB.
func (p benchPath) bulk() (float64, error) { return p.send("d", benchBulk) }

func (p benchPath) send(mode string, size int) (float64, error) {
	c, err := p.dial(mode)
	if err != nil {
		return 0, err
	}
	defer c.Close()
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
	return float64(size) / time.Since(began).Seconds() / 1e9, nil
}

// bulks is the same over eight connections at once.
func (p benchPath) bulks() (float64, error) {
	const conns = 8
	failed := make(chan error, conns)
	began := time.Now()
	for range conns {
		go func() {
			_, err := p.send("s", benchBulk/conns)
			failed <- err
		}()
	}
	var err error
	for range conns {
		err = errors.Join(err, <-failed)
	}
	return benchBulk / time.Since(began).Seconds() / 1e9, err
}

// first is how long a connection waits for the first byte, in milliseconds.
func (p benchPath) first() (float64, error) {
	began := time.Now()
	c, err := p.dial("x")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	return benchMs(time.Since(began)), err
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
	const times = 800
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

// xinet compares a proxy with no proxy, and with those of others that are there.
func (r *benchRig) xinet() (rows []benchRow, err error) {
	dir, end, port, err := r.benchBackend()
	if err != nil {
		return nil, err
	}
	defer end()
	s, err := r.start(benchOurs, independent(1))
	if err != nil {
		return nil, err
	}
	defer s.kill()
	direct := map[string]benchPath{"tcp": {"tcp", port, 0}, "unix": {"unix", filepath.Join(dir, "back"), 0}}
	ways := [benchWays]map[string]benchPath{direct, {}, {}, {}}
	begins := [benchWays]benchBegin{nil, r.benchXinet, benchProxyd, benchHaproxy}
	for network, to := range direct {
		for way := benchProxied; way < benchWays; way++ {
			from, end, err := r.benchWay(way, begins[way], dir, to, s.socket())
			if err != nil {
				return nil, err
			}
			if end != nil { // else it is not there
				defer end()
				ways[way][network] = from
			}
		}
	}
	if rows, err = r.xinetRows(ways); err != nil {
		return rows, err
	}
	more, err := r.xinetIdle(ways[benchProxied]["unix"])
	if rows = append(rows, more...); err != nil {
		return rows, err
	}
	more, err = r.xinetActivation()
	return append(rows, more...), err
}

// benchBackend starts the backend of all proxies.
func (r *benchRig) benchBackend() (dir string, end func(), port string, err error) {
	if dir, err = r.room(); err != nil {
		return "", nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", nil, "", err
	}
	back := exec.Command(self, "-test.run=^$", "-test.bench=^BenchmarkComparison$", "-test.benchtime=1x")
	back.Env = append(os.Environ(), benchBackVar+"="+dir)
	if _, end, err = benchStart(back); err != nil {
		return "", nil, "", err
	}
	err = r.poll("the backend", time.Millisecond, 10*time.Second, func() (bool, error) {
		text, err := os.ReadFile(filepath.Join(dir, "port"))
		port = string(text)
		return err == nil, nil
	})
	if err != nil {
		end()
	}
	return dir, end, port, err
}

// A benchProxyRow is a row of one measure; goals are ratios, 0: none.
type benchProxyRow struct {
	network, name, unit string
	measure             func(benchPath) (float64, error)
	goals               [benchWays]float64
	atLeast             bool
	cpu                 string // the name of a row about the CPU time for each GB; empty: none
}

// benchProxyRows are the rows. From TCP to TCP a proxy of Go is measured against those
// of C with what each is best at.
func benchProxyRows() []benchProxyRow {
	return []benchProxyRow{
		{"tcp", "xinet, TCP, one connection", "GB/s", benchPath.bulk, [benchWays]float64{benchSocketProxyd: 1.3}, true, "xinet, TCP, CPU for each GB"},
		{"tcp", "xinet, TCP, eight connections", "GB/s", benchPath.bulks, [benchWays]float64{benchSocketProxyd: 1.3}, true, ""},
		{"unix", "xinet, unix, one connection", "GB/s", benchPath.bulk, [benchWays]float64{benchSocketProxyd: 1}, true, "xinet, unix, CPU for each GB"},
		{"tcp", "xinet, TCP, 64 bytes there and back, p50", "us", benchPath.ping, [benchWays]float64{benchDirect: 2.8}, false, ""},
		{"tcp", "xinet, TCP, the same over 64 connections", "/s", benchPath.trips, [benchWays]float64{benchHAProxy: 1}, true, ""},
		{"tcp", "xinet, TCP, connect, one byte, close", "/s", benchPath.connects, [benchWays]float64{benchHAProxy: 1}, true, ""},
		{"unix", "xinet, unix, connect, one byte, close", "/s", benchPath.connects, [benchWays]float64{benchHAProxy: 1}, true, ""},
	}
}

func (r *benchRig) xinetRows(ways [benchWays]map[string]benchPath) (rows []benchRow, err error) {
	for _, c := range benchProxyRows() {
		const rounds = 5
		var samples [benchWays][]float64
		var used [benchWays]float64 // for each GB
		for range rounds {
			for way, paths := range ways {
				path, there := paths[c.network]
				if !there {
					continue
				}
				before := path.cpu()
				v, err := c.measure(path)
				if err != nil {
					return rows, fmt.Errorf("%s, way %d: %w", c.name, way, err)
				}
				samples[way] = append(samples[way], v)
				used[way] += (path.cpu() - before) / (rounds * benchBulk / 1e9)
			}
		}
		rows = append(rows, benchAgainst(benchRow{name: c.name, unit: c.unit, atLeast: c.atLeast}, samples, c.goals)...)
		if c.cpu != "" {
			var all [benchWays][]float64
			for way := benchProxied; way < benchWays; way++ {
				if len(samples[way]) > 0 {
					all[way] = []float64{used[way]}
				}
			}
			rows = append(rows, benchAgainst(benchRow{name: c.cpu, unit: "s"}, all, [benchWays]float64{benchSocketProxyd: 1})...)
		}
	}
	return rows, nil
}

// benchAgainst makes rows that compare ours with each other way.
func benchAgainst(row benchRow, samples [benchWays][]float64, goals [benchWays]float64) (rows []benchRow) {
	names := [benchWays]string{benchDirect: row.name, benchSocketProxyd: "  against systemd-socket-proxyd", benchHAProxy: "  against haproxy"}
	row.values[benchOurs], row.against = benchMedian(samples[benchProxied]), benchFloor
	if len(samples[benchDirect]) == 0 { // there are no figures of it
		rows = append(rows, row)
		rows[0].against = benchOurs
	}
	for way, name := range names {
		if name != "" && len(samples[way]) > 0 {
			row.name, row.goal, row.values[benchFloor] = name, goals[way], benchMedian(samples[way])
			rows = append(rows, row)
		}
	}
	return rows
}

// benchIdle is how many connections are held that nothing is sent on, if so many files
// may be open.
const benchIdle = 10_000

// xinetIdle is what idle connections cost, all of which are alive in the end.
func (r *benchRig) xinetIdle(path benchPath) (rows []benchRow, err error) {
	memory := func() (int, error) { return benchField(fmt.Sprintf("/proc/%d/smaps_rollup", path.pid), "Pss") }
	before, err := memory()
	if err != nil {
		return nil, err
	}
	var limit syscall.Rlimit // the proxy has the same, and two files for each
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	held := min(benchIdle, int(limit.Max)/2-50)
	conns := make([]net.Conn, 0, held)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 1)
	for range held {
		c, err := path.dial("ex")
		if err == nil {
			conns = append(conns, c)
			_, err = io.ReadFull(c, buf)
		}
		if err != nil {
			return nil, fmt.Errorf("idle connection %d: %w", len(conns), err)
		}
	}
	if err := r.pause(time.Second); err != nil {
		return nil, err
	}
	after, err := memory()
	if err != nil {
		return nil, err
	}
	woken := path.switches()
	const quiet = 5 * time.Second
	if err := r.pause(quiet); err != nil {
		return nil, err
	}
	woken = path.switches() - woken
	for i, c := range conns {
		if _, err = c.Write(buf); err == nil {
			_, err = io.ReadFull(c, buf)
		}
		if err != nil {
			return nil, fmt.Errorf("idle connection %d is dead: %w", i, err)
		}
	}
	row := benchRow{name: fmt.Sprintf("xinet, %d idle connections, memory (PSS) of each", held), unit: "kB", goal: 20}
	row.values[benchOurs] = float64(after-before) / float64(held)
	wakes := benchRow{name: "  switches meanwhile", unit: "/min"}
	wakes.values[benchOurs] = float64(woken) / quiet.Minutes()
	return []benchRow{row, wakes}, nil
}

// xinetActivation is what a connection waits for a service that is down, and what the
// service takes without a proxy, from its start until it has answered.
func (r *benchRig) xinetActivation() ([]benchRow, error) {
	dir, err := r.room()
	if err != nil {
		return nil, err
	}
	back := benchPath{network: "unix", address: filepath.Join(dir, "late")}
	s, err := r.start(benchOurs, []benchService{{exec: r.program("answer") + " " + back.address}})
	if err != nil {
		return nil, err
	}
	defer s.kill()
	front, end, err := r.benchWay(benchProxied, r.benchXinet, dir, back, s.socket())
	if err != nil {
		return nil, err
	}
	defer end()
	var sample benchSample
	for range 15 {
		if err := s.client.Stop(r.ctx, s.names[0]); err != nil {
			return nil, err
		}
		if _, err := s.client.Wait(r.ctx, s.names, "exited", sock.WaitOptions{Timeout: 10 * time.Second}); err != nil {
			return nil, err
		}
		took, err := front.first()
		if err != nil {
			return nil, err
		}
		sample.add(benchOurs, took)
		os.Remove(back.address)
		began := time.Now()
		_, end, err := benchStart(exec.Command(r.program("answer"), back.address))
		if err != nil {
			return nil, err
		}
		for {
			if _, err = back.first(); err == nil || time.Since(began) > 10*time.Second {
				break
			}
		}
		sample.add(benchFloor, benchMs(time.Since(began)))
		end()
	}
	m := sample.medians()
	row := benchRow{name: "xinet, first byte of a service that is down", unit: "ms", values: m, against: benchFloor}
	adds := benchRow{name: "  more than it takes itself", unit: "ms", goal: 3}
	adds.values[benchOurs] = m[benchOurs] - m[benchFloor]
	return []benchRow{row, adds}, nil
}

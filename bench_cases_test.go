package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// independent is n services that need nothing.
func independent(n int) []benchService {
	list := make([]benchService, n)
	for i := range list {
		list[i] = benchService{exec: "{}/idle"}
	}
	return list
}

// A benchLife is what one start and stop took, in milliseconds.
type benchLife struct {
	up, load, spawn, down benchSample
	// Beside a loop that gives its processes as much.
	fullUp, fullDown benchSample
}

// live runs one round of a case: ours, the loop and, if peer, the peer.
func (r *benchRig) live(services []benchService, peer bool, l *benchLife) error {
	s, err := r.start(benchOurs, services)
	if err != nil {
		return err
	}
	l.up.add(benchOurs, benchMs(s.up))
	l.load.add(benchOurs, benchMs(s.answered))
	l.spawn.add(benchOurs, benchMs(s.up-s.answered))
	down, err := s.shutdown()
	if err != nil {
		return err
	}
	l.down.add(benchOurs, benchMs(down))

	if fullLoopFits(len(services)) {
		loop, err := r.loop(len(services), true)
		if err != nil {
			return err
		}
		l.fullUp.add(benchOurs, benchMs(s.up))
		l.fullUp.add(benchFloor, benchMs(loop.up))
		bare, err := loop.stop()
		if err != nil {
			return err
		}
		l.fullDown.add(benchOurs, benchMs(down))
		l.fullDown.add(benchFloor, benchMs(bare))
	}
	loop, err := r.loop(len(services), false)
	if err != nil {
		return err
	}
	l.up.add(benchFloor, benchMs(loop.up))
	l.spawn.add(benchFloor, benchMs(loop.up))
	if down, err = loop.stop(); err != nil {
		return err
	}
	l.down.add(benchFloor, benchMs(down))

	if !peer || r.peer == "" {
		return nil
	}
	if s, err = r.start(benchPeer, services); err != nil {
		fmt.Fprintf(os.Stderr, "bench: zinit 0.3.9 with %d services: %v\n", len(services), err)
		return nil
	}
	l.up.add(benchPeer, benchMs(s.up))
	s.kill() // it takes 100 ms for each service to stop in order
	return nil
}

// fullLoopFits reports that one process may hold two pipes, and both ends of each, for n
// others.
func fullLoopFits(n int) bool {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return err == nil && uint64(4*n+64) <= limit.Max
}

// upAndDown starts and stops n services that need nothing.
func (r *benchRig) upAndDown(n, rounds int, goal float64) ([]benchRow, error) {
	var l benchLife
	for i := range rounds {
		if err := r.live(independent(n), i == 0 || n <= 1000 && i < 3, &l); err != nil {
			return nil, err
		}
	}
	many := strconv.Itoa(n)
	rows := []benchRow{
		{name: many + " services up", unit: "ms", values: l.up.medians(), against: benchFloor, goal: goal},
		{name: "  until it answers", unit: "ms", values: l.load.medians()},
		{name: "  from then on", unit: "ms", values: l.spawn.medians(), against: benchFloor},
	}
	if fullLoopFits(n) {
		rows = append(rows, benchRow{name: "  floor that gives as much", unit: "ms", values: l.fullUp.medians(), against: benchFloor})
	}
	down := benchRow{name: "stop of " + many, unit: "ms", values: l.down.medians(), against: benchFloor}
	if n == 1000 {
		down.goal = 1.6
	}
	rows = append(rows, down)
	if fullLoopFits(n) {
		rows = append(rows, benchRow{name: "  floor that gives as much", unit: "ms", values: l.fullDown.medians(), against: benchFloor})
	}
	return rows, nil
}

// chain is 1,000 services, each of which requires the one before.
func (r *benchRig) chain() ([]benchRow, error) {
	services := independent(1000)
	for i := range services[1:] {
		services[i+1].requires = []string{fmt.Sprintf("s%05d", i)}
	}
	return r.graph("chain of 1000 up", services)
}

// layers is 10 layers of 50 services, each of which requires all of the layer before.
func (r *benchRig) layers() ([]benchRow, error) {
	services := independent(500)
	for i := 50; i < len(services); i++ {
		first := (i/50 - 1) * 50
		for j := range 50 {
			services[i].requires = append(services[i].requires, fmt.Sprintf("s%05d", first+j))
		}
	}
	return r.graph("10 layers of 50 up", services)
}

func (r *benchRig) graph(name string, services []benchService) ([]benchRow, error) {
	var l benchLife
	for range 5 {
		if err := r.live(services, false, &l); err != nil {
			return nil, err
		}
	}
	return []benchRow{
		{name: name, unit: "ms", values: l.up.medians(), against: benchFloor, goal: 2},
		{name: "  until it answers", unit: "ms", values: l.load.medians()},
		{name: "  from then on", unit: "ms", values: l.spawn.medians(), against: benchFloor},
		{name: "  stop of them", unit: "ms", values: l.down.medians(), against: benchFloor},
	}, nil
}

// A benchMortal is a process that is killed and comes back, again and again.
type benchMortal struct {
	fifo benchFifo
	pid  int
	end  func()
}

// restart is the time from a kill -9 until the next process runs, as that process
// itself tells it.
func (r *benchRig) restart() ([]benchRow, error) {
	var sides [benchSides]*benchMortal
	for side := range benchSides {
		if side == benchPeer && r.peer == "" {
			continue
		}
		m, err := r.mortal(side)
		if err != nil {
			return nil, err
		}
		defer m.end()
		sides[side] = m
	}
	var sample benchSample
	for range 300 {
		for side, m := range sides {
			if m == nil {
				continue
			}
			killed := benchNow()
			if err := syscall.Kill(m.pid, syscall.SIGKILL); err != nil {
				return nil, err
			}
			pid, born, err := m.fifo.next()
			if err != nil {
				return nil, fmt.Errorf("it did not come back: %w", err)
			}
			m.pid = pid
			sample.add(benchSide(side), benchMs(born-killed))
		}
	}
	p90 := benchRow{name: "  p90", unit: "ms", against: benchFloor}
	for side, list := range sample {
		if len(list) > 0 {
			p90.values[side] = slices.Sorted(slices.Values(list))[len(list)*9/10]
		}
	}
	return []benchRow{{name: "restart after kill -9, p50", unit: "ms", values: sample.medians(), against: benchFloor, goal: 1.5}, p90}, nil
}

// mortal starts the process that a side keeps alive.
func (r *benchRig) mortal(side benchSide) (*benchMortal, error) {
	path := filepath.Join(r.dir, "born"+strconv.Itoa(int(side)))
	fifo, err := newBenchFifo(path)
	if err != nil {
		return nil, err
	}
	m := &benchMortal{fifo: fifo}
	if side == benchFloor {
		dir, err := r.room("respawn", "idle")
		if err != nil {
			return nil, err
		}
		cmd := exec.Command(filepath.Join(dir, "respawn"), filepath.Join(dir, "idle"), path)
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		m.end = func() { r.sweep(dir); cmd.Wait() }
	} else {
		delay := "0"
		if side == benchPeer {
			delay = "1" // it refuses 0
		}
		s, err := r.start(side, []benchService{{exec: "{}/idle " + path, more: "\n[lifecycle]\nrestart = \"always\"\n" +
			"restart_delay_ms = " + delay + "\nrestart_delay_max_ms = 1\nmax_restarts = 0\n"}})
		if err != nil {
			return nil, err
		}
		m.end = s.kill
	}
	if m.pid, _, err = fifo.next(); err != nil {
		m.end()
		return nil, err
	}
	return m, nil
}

// memory is what the supervisor's own processes hold, without and with services:
// when everything has just come up, and at rest.
func (r *benchRig) memory() ([]benchRow, error) {
	var rows []benchRow
	var running [][]*benchServer // in the order of rows
	for _, c := range []struct {
		n    int
		goal float64
	}{{0, 9}, {1000, 15}} {
		first := benchRow{name: "  a second after the start", unit: "MB"}
		var servers []*benchServer
		for _, side := range r.servers() {
			s, err := r.start(side, independent(c.n))
			if err != nil {
				return nil, err
			}
			defer s.kill()
			servers = append(servers, s)
			if err := r.pause(time.Second); err != nil {
				return nil, err
			}
			if first.values[side], err = s.pss(); err != nil {
				return nil, err
			}
		}
		rows = append(rows, benchRow{name: fmt.Sprintf("memory (PSS) at rest with %d", c.n), unit: "MB", goal: c.goal}, first)
		running = append(running, servers)
	}
	if err := r.pause(restAfter); err != nil {
		return nil, err
	}
	for i, servers := range running {
		for _, s := range servers {
			now, err := s.pss()
			if err != nil {
				return nil, err
			}
			rows[2*i].values[s.side] = now
		}
	}
	return rows, nil
}

// servers is the sides that are supervisors.
func (r *benchRig) servers() []benchSide {
	if r.peer == "" {
		return []benchSide{benchOurs}
	}
	return []benchSide{benchOurs, benchPeer}
}

// A benchRest is what a server with idle services had done at some time.
type benchRest struct {
	at       time.Time
	switches int
	ticks    int
	err      error
}

// A server rests when a while has passed since the start (until then it gives
// memory back, once), and is watched for a minute at least.
const (
	restAfter = 15 * time.Second
	restFor   = time.Minute
)

// beginRest starts 100 idle services, and looks at them when they are at rest.
func (r *benchRig) beginRest() (err error) {
	if r.resting, err = r.start(benchOurs, independent(100)); err != nil {
		return err
	}
	r.rest = make(chan benchRest, 1)
	time.AfterFunc(restAfter, func() {
		first, err := r.resting.rested()
		first.err = err
		r.rest <- first
	})
	return nil
}

// idle is what the server that has been at rest did meanwhile.
func (r *benchRig) idle() ([]benchRow, error) {
	first := <-r.rest
	if first.err != nil {
		return nil, first.err
	}
	if err := r.pause(time.Until(first.at.Add(restFor))); err != nil {
		return nil, err
	}
	now, err := r.resting.rested()
	if err != nil {
		return nil, err
	}
	minutes := now.at.Sub(first.at).Minutes()
	row := benchRow{name: "100 idle services, switches", unit: "/min", goal: 4}
	row.values[benchOurs] = float64(now.switches-first.switches) / minutes
	cpu := benchRow{name: "  CPU meanwhile", unit: "ms/min"}
	cpu.values[benchOurs] = float64(now.ticks-first.ticks) * 1000 / benchTicks / minutes
	return []benchRow{row, cpu}, nil
}

// benchTicks is the unit of times in /proc, per second.
const benchTicks = 100

// rested reads the context switches of all threads and the CPU time.
func (s *benchServer) rested() (benchRest, error) {
	now := benchRest{at: time.Now()}
	for _, pid := range s.pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		if err != nil {
			return now, err
		}
		for _, t := range threads {
			for _, key := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
				n, err := benchField(t, key)
				if err != nil {
					return now, err
				}
				now.switches += n
			}
		}
	}
	cpu, err := s.cpu()
	now.ticks = int(cpu.Seconds() * benchTicks)
	return now, err
}

// cpu is the CPU time that the server's own processes have used.
func (s *benchServer) cpu() (time.Duration, error) {
	ticks := 0
	for _, pid := range s.pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		for _, f := range fields[11:13] { // utime, stime
			n, err := strconv.Atoi(f)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / benchTicks, nil
}

// pss is the memory of the server's own processes in MB, each page shared out
// among those who map it.
func (s *benchServer) pss() (float64, error) {
	kb := 0
	for _, pid := range s.pids {
		n, err := benchField(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss")
		if err != nil {
			return 0, err
		}
		kb += n
	}
	return float64(kb) / 1000, nil
}

// benchField reads a number from a file of lines "key: number …".
func benchField(path, key string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return 0, fmt.Errorf("cannot find %s in %s", key, path)
}

package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"zinit/sock"
)

// benchEchoVar names the socket at which this program is an echo server, when it
// is run again as one.
const benchEchoVar = "ZINIT_BENCH_ECHO"

// benchServeEcho is the least that an answer can cost: on each connection the
// first line is the number of bytes that every further line is answered with. It
// ends with its standard input.
func benchServeEcho(socket string) error {
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go benchEcho(conn)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return errors.Join(err, ln.Close())
}

func benchEcho(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	n, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || n < 1 {
		return
	}
	reply := []byte(strings.Repeat("x", n-1) + "\n")
	for {
		if _, err := in.ReadSlice('\n'); err != nil {
			return
		}
		if _, err := conn.Write(reply); err != nil {
			return
		}
	}
}

// echo runs this program again as an echo server.
func (r *benchRig) echo() (socket string, end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	socket = filepath.Join(r.dir, "echo.sock")
	cmd := exec.Command(self, "-test.run=^$", "-test.bench=^BenchmarkComparison$", "-test.benchtime=1x")
	cmd.Env = append(os.Environ(), benchEchoVar+"="+socket)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() {
		in.Close()
		cmd.Wait() // how it ended makes no difference any more
	}
	err = r.poll("the echo server", time.Millisecond, 10*time.Second, func() (bool, error) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		end()
	}
	return socket, end, err
}

// wire is how many requests per second one connection gets answered, one at a
// time, with 100 services.
func (r *benchRig) wire() ([]benchRow, error) {
	var sockets [benchSides]string
	for _, side := range r.servers() {
		s, err := r.start(side, independent(100))
		if err != nil {
			return nil, err
		}
		defer s.kill()
		sockets[side] = s.socket()
	}
	socket, end, err := r.echo()
	if err != nil {
		return nil, err
	}
	defer end()
	sockets[benchFloor] = socket

	const head, tail = `{"jsonrpc":"2.0","method":"`, `,"id":1}` + "\n"
	rows := []benchRow{
		{name: "RPC status", unit: "/s", against: benchPeer, goal: 1, atLeast: true},
		{name: "RPC list_full of 100", unit: "/s", against: benchPeer, goal: 8, atLeast: true},
	}
	requests := []string{
		head + sock.MethodStatus + `","params":{"name":"s00042"}` + tail,
		head + sock.MethodListFull + `","params":null` + tail,
	}
	for i := range rows {
		if rows[i].values, err = r.askRounds(sockets, requests[i]); err != nil {
			return nil, err
		}
		if r.peer == "" { // what the peer does, measured once: 57,800 and 3,600 where an echo did 87,900 and 74,600
			rows[i].against, rows[i].goal = benchFloor, []float64{0.66, 0.39}[i]
		}
	}
	return rows, nil
}

// askRounds asks each side in turn for a while, and tells the answers per second.
func (r *benchRig) askRounds(sockets [benchSides]string, request string) (rate [benchSides]float64, err error) {
	var sample benchSample
	size := 0
	for range 5 {
		for side, socket := range sockets {
			if socket == "" {
				continue
			}
			first := ""
			if benchSide(side) == benchFloor {
				first = strconv.Itoa(size) + "\n" // the same size as ours, which went first
			}
			n, bytes, err := benchAsk(socket, first, request, 500*time.Millisecond)
			if err != nil {
				return rate, fmt.Errorf("cannot ask %s: %w", socket, err)
			}
			if benchSide(side) == benchOurs {
				size = bytes
			}
			sample.add(benchSide(side), n)
		}
	}
	return sample.medians(), nil
}

// benchAsk sends a request again and again, one at a time, and tells how many
// were answered per second and how long an answer was.
func benchAsk(socket, first, request string, long time.Duration) (rate float64, size int, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(long + 10*time.Second)); err != nil {
		return 0, 0, err
	}
	in := bufio.NewReaderSize(conn, 1<<20)
	text := []byte(request)
	if _, err := conn.Write([]byte(first)); err != nil {
		return 0, 0, err
	}
	began, n := time.Now(), 0
	for time.Since(began) < long {
		if _, err := conn.Write(text); err != nil {
			return 0, 0, err
		}
		reply, err := in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		if n == 0 && strings.Contains(string(reply), `"error":{`) {
			return 0, 0, fmt.Errorf("refused: %s", reply)
		}
		size = len(reply)
		n++
	}
	return float64(n) / time.Since(began).Seconds(), size, nil
}

// list is what `zinit list` takes from its start to its end.
func (r *benchRig) list() ([]benchRow, error) {
	var rows []benchRow
	for _, c := range []struct {
		n    int
		goal float64
	}{{100, 4.0 / 20}, {1000, 8.0 / 84}} {
		row := benchRow{name: fmt.Sprintf("zinit list of %d, p50", c.n), unit: "ms", against: benchPeer, goal: c.goal}
		values, err := r.listOf(c.n)
		if err != nil {
			return rows, err
		}
		row.values = values
		rows = append(rows, row)
	}
	return rows, nil
}

func (r *benchRig) listOf(n int) (values [benchSides]float64, err error) {
	commands := [benchSides]func() *exec.Cmd{
		benchFloor: func() *exec.Cmd { return exec.Command(r.program("drain"), "0") },
	}
	for _, side := range r.servers() {
		if _, err := os.Stat("/run/zinit.sock"); err == nil && side == benchPeer {
			continue // its command line would ask whoever that is, whatever it is told
		}
		s, err := r.start(side, independent(n))
		if err != nil {
			return values, err
		}
		defer s.kill()
		program := filepath.Join(s.dir, "zinit")
		if side == benchPeer {
			program = filepath.Join(r.peer, "zinit")
		}
		commands[side] = func() *exec.Cmd {
			cmd := exec.Command(program, "--socket", s.socket(), "list")
			cmd.Env = append(os.Environ(), "HOME="+s.dir)
			return cmd
		}
		out, err := commands[side]().Output()
		if lines := strings.Count(string(out), "\n"); err != nil || lines < n {
			return values, fmt.Errorf("cannot list %d services: %d lines: %w", n, lines, err)
		}
	}
	var sample benchSample
	for range 50 {
		for side, command := range commands {
			if command == nil {
				continue
			}
			cmd := command()
			began := time.Now()
			if err := cmd.Run(); err != nil {
				return values, err
			}
			sample.add(benchSide(side), benchMs(time.Since(began)))
		}
	}
	return sample.medians(), nil
}

// What a talkative service writes.
const (
	floodLines = 1_000_000
	floodBytes = floodLines * 100
)

// logs is the CPU time that taking in a million lines costs, and whether it costs
// memory.
func (r *benchRig) logs() ([]benchRow, error) {
	var cpu, took, grown, file, rotated benchSample
	const keeps = "[logging]\nfile = \"{}/talk.log\"\n"
	for range 3 {
		for _, side := range r.servers() {
			if err := r.flood(side, "", &cpu, &took, &grown); err != nil {
				return nil, err
			}
		}
		if err := r.flood(benchOurs, keeps, &file, nil, nil); err != nil {
			return nil, err
		}
		if err := r.flood(benchOurs, keeps+"file_max = \"10M\"\nfile_keep = 20\n", &rotated, nil, nil); err != nil {
			return nil, err
		}
		if err := r.drain(&cpu, &took); err != nil {
			return nil, err
		}
	}
	withFile, withRotation := file.medians(), rotated.medians()
	for _, side := range []benchSide{benchFloor, benchPeer} { // they keep none
		withFile[side], withRotation[side] = cpu.medians()[side], cpu.medians()[side]
	}
	return []benchRow{
		{name: "1,000,000 lines of 100 bytes, CPU", unit: "ms", values: cpu.medians(), against: benchPeer, goal: 1},
		{name: "  with a file, ours only", unit: "ms", values: withFile, against: benchPeer, goal: 1.3},
		{name: "  with a file that is rotated", unit: "ms", values: withRotation, against: benchPeer, goal: 1.3},
		{name: "  time until taken", unit: "ms", values: took.medians(), against: benchPeer},
		{name: "  memory (PSS) gained", unit: "MB", values: grown.medians(), goal: 2},
	}, nil
}

// talk lets a flood begin and waits until it has written all, then tells how long
// that took.
func (r *benchRig) talk(begin func(command string) error) (time.Duration, error) {
	r.count++
	path := filepath.Join(r.dir, "talk"+strconv.Itoa(r.count))
	start, err := newBenchFifo(path + ".go")
	if err != nil {
		return 0, err
	}
	defer start.f.Close()
	done, err := newBenchFifo(path + ".done")
	if err != nil {
		return 0, err
	}
	defer done.f.Close()
	if err := begin(fmt.Sprintf("flood %s.go %s.done %d", path, path, floodLines)); err != nil {
		return 0, err
	}
	began := benchNow()
	if _, err := start.f.Write([]byte{1}); err != nil {
		return 0, err
	}
	_, at, err := done.next()
	return at - began, err
}

// flood lets a service write a million lines; more is further lines of its file. took
// and grown may be nil.
func (r *benchRig) flood(side benchSide, more string, cpu, took, grown *benchSample) (err error) {
	var s *benchServer
	var before, after float64
	var used, end time.Duration
	duration, err := r.talk(func(command string) (err error) {
		if s, err = r.start(side, []benchService{{exec: "{}/" + command, more: more}}); err != nil {
			return err
		}
		if before, err = s.pss(); err != nil {
			return err
		}
		used, err = s.cpu()
		return err
	})
	if s != nil {
		defer s.kill()
	}
	if err != nil {
		return err
	}
	last := fmt.Sprintf("line %09d ", floodLines)
	err = r.poll("the last line", 10*time.Millisecond, 30*time.Second, func() (bool, error) {
		lines, err := s.client.Logs(r.ctx, s.names[0], 1)
		return len(lines) == 1 && strings.Contains(lines[0], last) && s.filed(more), err
	})
	if err != nil {
		return err
	}
	if end, err = s.cpu(); err != nil {
		return err
	}
	if after, err = s.pss(); err != nil {
		return err
	}
	cpu.add(side, benchMs(end-used))
	if took != nil {
		took.add(side, benchMs(duration))
		grown.add(side, after-before)
	}
	return nil
}

// filed reports that the log files have every byte, if there are any.
func (s *benchServer) filed(more string) bool {
	files, _ := filepath.Glob(filepath.Join(s.dir, "talk.log*"))
	size := int64(0)
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			size += info.Size()
		}
	}
	return more == "" || size == floodBytes
}

// drain is the floor: a C program that reads what another writes.
func (r *benchRig) drain(cpu, took *benchSample) error {
	dir, err := r.room("flood", "drain")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer r.sweep(dir)
	reader := exec.Command(filepath.Join(dir, "drain"), strconv.Itoa(floodBytes))
	duration, err := r.talk(func(command string) error {
		words := strings.Fields(command)
		writer := exec.Command(filepath.Join(dir, words[0]), words[1:]...)
		in, out, err := os.Pipe()
		if err != nil {
			return err
		}
		defer in.Close()
		defer out.Close()
		reader.Stdin, writer.Stdout = in, out
		return errors.Join(reader.Start(), writer.Start())
	})
	if err != nil {
		return err
	}
	if err := reader.Wait(); err != nil {
		return err
	}
	cpu.add(benchFloor, benchMs(reader.ProcessState.UserTime()+reader.ProcessState.SystemTime()))
	took.add(benchFloor, benchMs(duration))
	return nil
}

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zinit/sock"
)

// A benchHeir is a server that is killed, and the next one of its name answers.
type benchHeir struct {
	socket, request string
	pid             func(reply []byte) (int, error)
	now             int // the pid
}

// takeover is the time from a kill -9 of the server until the next one answers a
// ping on a new connection, with idle services. The floor is a C program that
// starts itself again and answers on the socket that its parent holds.
func (r *benchRig) takeover() ([]benchRow, error) {
	var rows []benchRow
	for _, c := range []struct {
		n    int
		goal float64
	}{{100, 10}, {1000, 25}} {
		more, err := r.takeovers(c.n, 25, c.goal)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func (r *benchRig) takeovers(n, kills int, goal float64) ([]benchRow, error) {
	s, err := r.start(benchOurs, independent(n))
	if err != nil {
		return nil, err
	}
	defer s.kill()
	floor, end, err := r.reviver()
	if err != nil {
		return nil, err
	}
	defer end()
	heirs := [benchSides]*benchHeir{
		benchOurs:  {socket: s.socket(), request: `{"jsonrpc":"2.0","method":"` + sock.MethodPing + `","id":1}` + "\n", pid: benchPong},
		benchFloor: floor,
	}
	var sample benchSample
	var cpu []float64
	for range kills {
		// A server writes down what the files gave when it has answered.
		if err := r.pause(300 * time.Millisecond); err != nil {
			return nil, err
		}
		for side, h := range heirs {
			if h == nil {
				continue
			}
			took, err := r.inherit(h)
			if err != nil {
				return nil, err
			}
			sample.add(benchSide(side), benchMs(took))
			if benchSide(side) == benchOurs {
				used, err := benchRun(h.now)
				if err != nil {
					return nil, err
				}
				cpu = append(cpu, benchMs(used))
			}
		}
	}
	first := benchRow{name: fmt.Sprintf("takeover with %d, p50", n), unit: "ms", values: sample.medians(), goal: goal}
	p90 := benchRow{name: "  p90", unit: "ms"}
	for side, list := range sample {
		if len(list) > 0 {
			p90.values[side] = slices.Sorted(slices.Values(list))[len(list)*9/10]
		}
	}
	work := benchRow{name: "  CPU of the new server until then", unit: "ms"}
	work.values[benchOurs] = benchMedian(cpu)
	return []benchRow{first, p90, work}, nil
}

// inherit kills a server and tells how long it took until another one answered.
func (r *benchRig) inherit(h *benchHeir) (time.Duration, error) {
	now, err := h.ask(r.ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := syscall.Kill(now, syscall.SIGKILL); err != nil {
		return 0, err
	}
	for {
		// Not by and by, but at once: what the old one had accepted is cut off.
		pid, err := h.ask(r.ctx)
		took := time.Since(began)
		switch {
		case err == nil && pid != now:
			h.now = pid
			return took, nil
		case took > 30*time.Second:
			return 0, errors.Join(errors.New("no other server answers"), err)
		}
	}
}

// ask connects, and tells who answered.
func (h *benchHeir) ask(ctx context.Context) (int, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", h.socket)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := conn.Write([]byte(h.request)); err != nil {
		return 0, err
	}
	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		return 0, err
	}
	return h.pid(line)
}

func benchPong(reply []byte) (int, error) {
	var pong struct {
		Result struct {
			PID int `json:"pid"`
		} `json:"result"`
	}
	err := json.Unmarshal(reply, &pong)
	return pong.Result.PID, err
}

// benchRun is how long the threads of a process have been running, to a microsecond.
func benchRun(pid int) (sum time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// reviver starts the floor.
func (r *benchRig) reviver() (h *benchHeir, end func(), err error) {
	dir, err := r.room("revive")
	if err != nil {
		return nil, nil, err
	}
	h = &benchHeir{socket: filepath.Join(dir, "sock"), request: "who\n", pid: func(reply []byte) (int, error) {
		return strconv.Atoi(strings.TrimSpace(string(reply)))
	}}
	cmd := exec.Command(filepath.Join(dir, "revive"), h.socket)
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	end = func() {
		r.sweep(dir)
		cmd.Wait() // how it ended makes no difference any more
		os.RemoveAll(dir)
	}
	err = r.poll("the floor", time.Millisecond, 10*time.Second, func() (bool, error) {
		_, err := h.ask(r.ctx)
		return err == nil, nil
	})
	if err != nil {
		end()
		return nil, nil, err
	}
	return h, end, nil
}

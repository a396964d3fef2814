package main_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A chaosKiller does away with servers. It belongs to one goroutine at a time.
type chaosKiller struct {
	c        *chaos
	rng      *rand.Rand
	server   int // its pid
	binaries [2]string
	stamp    int                        // which of them is at the path
	taken    map[string][]time.Duration // until the next server answered, by kind of death
}

func newChaosKiller(c *chaos, rng *rand.Rand) *chaosKiller {
	return &chaosKiller{c: c, rng: rng, taken: map[string][]time.Duration{}}
}

// prepare gives the instance a program of its own, of which there are two that
// differ.
func (k *chaosKiller) prepare() {
	t := k.c.t
	t.Helper()
	dir := filepath.Join(k.c.dir, "bin")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	from, err := os.ReadFile(filepath.Join(binDir(t), "zinit"))
	if err != nil {
		t.Fatal(err)
	}
	for i, stamp := range []string{"", "another one"} {
		k.binaries[i] = filepath.Join(dir, fmt.Sprintf("zinit-%d", i))
		executable(t, k.binaries[i], append(from[:len(from):len(from)], stamp...))
	}
	k.swap(0)
	if err := os.Symlink("zinit", filepath.Join(dir, "zinit-server")); err != nil {
		t.Fatal(err)
	}
	k.c.alter = func(cmd *exec.Cmd) { cmd.Path = filepath.Join(dir, "zinit-server") }
}

// swap puts one of the two programs in the place from which servers are started.
func (k *chaosKiller) swap(to int) {
	place := filepath.Join(k.c.dir, "bin", "zinit")
	if is, err := os.Stat(place); err == nil {
		if was, err := os.Stat(k.binaries[to]); err == nil && os.SameFile(is, was) {
			return // a rename of one name of a file to another does nothing
		}
	}
	if err := os.Link(k.binaries[to], place+".new"); err != nil {
		k.c.t.Error(err)
		return
	}
	if err := os.Rename(place+".new", place); err != nil {
		k.c.t.Error(err)
	}
	k.stamp = to
}

// checkStamp looks whether the server runs the program that was put in place. The
// two differ in their size.
func (k *chaosKiller) checkStamp() {
	want, err := os.Stat(k.binaries[k.stamp])
	if err != nil {
		k.c.t.Error(err)
		return
	}
	is, err := os.Stat(fmt.Sprintf("/proc/%d/exe", k.server))
	if err != nil || is.Size() != want.Size() {
		k.c.t.Errorf("the server %d does not run the program that was put in its place: %v", k.server, err)
	}
}

// chaosDeaths are the ways in which a server ends, each with its share of 100, and
// those in which it does not.
var chaosDeaths = []struct {
	name  string
	share int
}{{"kill -9", 50}, {"kill -9 twice", 10}, {"SIGSTOP, kill -9", 8}, {"SIGSTOP, SIGCONT", 7}, {"SIGUSR1", 7}, {"SIGUSR1 to the keeper", 7}, {"SIGUSR2 to the keeper", 10}, {"upgrade", 1}}

// A chaosDeath is the end of a server.
type chaosDeath struct {
	at  time.Time
	how string
}

// run kills servers until ctx ends; then the last one runs and answers.
func (k *chaosKiller) run(ctx context.Context) {
	for ctx.Err() == nil && !k.c.t.Failed() {
		draw := k.rng.IntN(100)
		for _, d := range chaosDeaths {
			if draw -= d.share; draw < 0 {
				k.kill(d.name)
				break
			}
		}
		wait := time.Duration(k.rng.IntN(5000)) * time.Microsecond
		if k.rng.IntN(3) > 0 {
			wait = time.Duration(k.rng.IntN(200)) * time.Millisecond
		}
		chaosPause(ctx, wait)
	}
}

// chaosPause waits, but not longer than ctx.
func chaosPause(ctx context.Context, d time.Duration) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-late.C:
	case <-ctx.Done():
	}
}

// kill does away with the server in one way and waits for the next one.
func (k *chaosKiller) kill(how string) {
	if k.server == 0 && !k.find(0) {
		return
	}
	began := time.Now()
	hold := time.Duration(1+k.rng.IntN(100)) * time.Millisecond
	another := time.Duration(k.rng.IntN(8000)) * time.Microsecond
	old := k.server
	k.c.mu.Lock()
	k.c.death = chaosDeath{began, how}
	k.c.mu.Unlock()
	switch how {
	case "kill -9":
		k.signal(old, syscall.SIGKILL)
	case "kill -9 twice":
		k.signal(old, syscall.SIGKILL)
		if young := k.young(old); young != 0 {
			chaosPause(k.c.t.Context(), another)
			k.signal(young, syscall.SIGKILL) // it may have been ready by now, or not
			old = young
		}
		began = time.Now()
	case "SIGSTOP, kill -9":
		k.signal(old, syscall.SIGSTOP)
		chaosPause(k.c.t.Context(), hold)
		began = time.Now()
		k.signal(old, syscall.SIGKILL)
	case "SIGSTOP, SIGCONT":
		k.signal(old, syscall.SIGSTOP)
		chaosPause(k.c.t.Context(), hold)
		began = time.Now()
		k.signal(old, syscall.SIGCONT)
		old = 0 // it goes on
	case "SIGUSR1":
		k.signal(old, syscall.SIGUSR1)
	case "SIGUSR2 to the keeper":
		if err := syscall.Kill(k.c.keeperPID(), syscall.SIGUSR2); err != nil {
			k.c.t.Error(err)
		}
		old = 0 // it goes on, and so does whatever comes next
	case "upgrade":
		k.stamp = 1 - k.stamp
		if out, code := k.c.zinit("upgrade", k.binaries[k.stamp]); code != 0 {
			k.c.t.Errorf("upgrade: code %d: %s", code, out)
		}
	case "SIGUSR1 to the keeper":
		k.swap(k.rng.IntN(2))
		if err := syscall.Kill(k.c.keeperPID(), syscall.SIGUSR1); err != nil {
			k.c.t.Error(err)
		}
	}
	if k.find(old) {
		k.taken[how] = append(k.taken[how], time.Since(began))
		if how == "upgrade" || how == "SIGUSR1 to the keeper" {
			k.checkStamp()
		}
	}
}

// signal signals a process if it is a child of the keeper's.
func (k *chaosKiller) signal(pid int, sig syscall.Signal) {
	if err := signalChild(k.c.keeperPID(), pid, sig); err != nil {
		k.c.t.Errorf("cannot send %v to the server %d: %v", sig, pid, err)
	}
}

// find waits until another server than that answers.
func (k *chaosKiller) find(old int) bool {
	ctx, cancel := context.WithTimeout(k.c.t.Context(), patience)
	defer cancel()
	for {
		pid, err := ping(ctx, k.c.socket)
		if err == nil && pid != old {
			k.server = pid
			return true
		}
		if ctx.Err() != nil {
			k.c.t.Errorf("no server answers after %d: %v", old, err)
			return false
		}
	}
}

// young is the server that is started after that one, 0 when it takes too long.
func (k *chaosKiller) young(old int) int {
	again := time.NewTicker(200 * time.Microsecond)
	defer again.Stop()
	late := time.After(5 * time.Second)
	for {
		for _, pid := range chaosChildren(k.c.keeperPID()) {
			// Not by its program: until it is executed that of a service is the same.
			args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if err == nil && pid != old && strings.HasPrefix(string(args), "zinit-child\x00") {
				return pid
			}
		}
		select {
		case <-again.C:
		case <-late:
			return 0
		}
	}
}

// chaosChildren is childrenOf at a fraction of the price.
func chaosChildren(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is good
	for _, path := range tasks {
		text, _ := os.ReadFile(path) // the thread may have ended
		for r := strings.NewReader(string(text)); ; {
			var child int
			if _, err := fmt.Fscan(r, &child); err != nil {
				if err != io.EOF {
					return pids
				}
				break
			}
			pids = append(pids, child)
		}
	}
	return pids
}

// report prints how often and how long.
func (k *chaosKiller) report(length time.Duration) {
	total := 0
	for _, d := range chaosDeaths {
		took := slices.Sorted(slices.Values(k.taken[d.name]))
		if len(took) == 0 {
			continue
		}
		total += len(took)
		at := func(percent int) time.Duration {
			return took[min(len(took)*percent/100, len(took)-1)].Round(10 * time.Microsecond)
		}
		k.c.t.Logf("%-32s %d, the next answer after: p50 %v, p99 %v, max %v", d.name, len(took), at(50), at(99), at(100))
	}
	k.c.t.Logf("%-32s %d, %.0f a minute", "servers done away with", total, float64(total)/length.Minutes())
}

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFault25TwentyThousandOrphansEndAtOnce: process 1 is stopped until 5,000 are dead,
// and two services besides, four times. Each of the services gets its own exit code.
func TestFault25TwentyThousandOrphansEndAtOnce(t *testing.T) {
	t.Parallel()
	const (
		orphans = 20000
		batch   = 5000
		growth  = 2000 // kB that process 1 may have more at once: they leave nothing behind in its heap
	)
	b := newBox(t, "zinit")
	b.services = map[string]string{"crowd": appService("crowd", fmt.Sprintf("crowd %d", batch))}
	for code := 101; code <= 100+2*orphans/batch; code++ {
		name := fmt.Sprintf("last%d", code)
		b.services[name] = appService(name, fmt.Sprintf("last %d", code), "[lifecycle]\nrestart = \"never\"")
	}
	b.start()
	b.says(b.errs, "started")
	for name := range b.services {
		b.says(b.out, name+" | ")
	}
	pids, before := b.apps(), b.ownMemory()
	var took time.Duration
	next := 101
	for round, done := 1, 0; done < orphans; round++ {
		b.kill(syscall.SIGSTOP)
		tellApp(t, pids[fmt.Sprintf("crowd %d", batch)])
		for range 2 {
			if pid := pids[fmt.Sprintf("last %d", next)]; pid != 0 { // there may be more rounds
				tellApp(t, pid)
				next++
			}
		}
		done += b.left(round)
		began := time.Now()
		b.kill(syscall.SIGCONT)
		// The services, their server and process 1.
		b.until("every orphan is reaped", func() bool { return b.processes() <= len(b.services)+2 })
		took += time.Since(began)
	}
	after := b.ownMemory()
	t.Logf("%d reaped within %v in all; process 1 had %d kB of its own before and %d kB after", orphans, took, before, after)
	if after > before+growth {
		t.Errorf("process 1 had %d kB of its own before, and %d kB after", before, after)
	}
	for code := 101; code < next; code++ {
		b.until(fmt.Sprintf("last%d has ended with its own code", code), func() bool {
			return b.errs.contains(fmt.Sprintf("service=last%d ", code), fmt.Sprintf("why=\"exit code %d\"", code))
		})
	}
	b.kill(syscall.SIGTERM)
	b.ends(0)
}

// processes is how many the container has, dead ones too. To look at each costs more than
// to reap it.
func (b *box) processes() (n int) {
	b.t.Helper()
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/proc/[0-9]*", b.pid()))
	if err != nil || len(names) == 0 {
		b.t.Fatalf("the /proc of the container cannot be read: %v", err)
	}
	return len(names)
}

// apps are the processes of the image's program, by its arguments.
func (b *box) apps() map[string]int {
	pids := map[string]int{}
	for _, p := range childrenOf(b.pid()) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)) // none if it has ended
		if args, ok := strings.CutPrefix(string(text), "app\x00"); ok {
			pids[strings.ReplaceAll(strings.Trim(args, "\x00"), "\x00", " ")] = p.pid
		}
	}
	return pids
}

func tellApp(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
}

// left waits until the crowd has said how many it has left in this round.
func (b *box) left(round int) (n int) {
	b.t.Helper()
	b.until("the crowd has left its children", func() bool {
		parts := strings.Split(b.out.String(), "crowd | left ")
		if len(parts) <= round || !strings.Contains(parts[round], "\n") {
			return false
		}
		fmt.Sscan(parts[round], &n) // 0 if it is no number
		return true
	})
	if n == 0 {
		b.t.Fatal("the kernel lets nobody fork")
	}
	return n
}

// ownMemory is what process 1 has of no file, in kB: pages of a program that was just
// built count as its own until they are written.
func (b *box) ownMemory() int {
	b.t.Helper()
	n, err := benchField(fmt.Sprintf("/proc/%d/smaps_rollup", b.pid()), "Anonymous")
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func (b *box) until(what string, done func() bool) {
	b.t.Helper()
	late := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-late:
			b.t.Fatalf("waited in vain: %s", what)
		}
	}
}

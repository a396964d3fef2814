package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"zinit/sock"
)

// allDescriptors lists what a process has open, in the tables of all its threads.
func allDescriptors(pid int) (list []string) {
	tables := map[string]bool{}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/fd", pid)) // the pattern is good
	for _, dir := range tasks {
		var table []string
		names, _ := os.ReadDir(dir) // the thread may have ended
		for _, n := range names {
			if to, err := os.Readlink(filepath.Join(dir, n.Name())); err == nil {
				table = append(table, n.Name()+" "+to)
			}
		}
		if key := strings.Join(table, "\n"); !tables[key] {
			tables[key] = true
			list = append(list, table...)
		}
	}
	return list
}

// keeperDescriptors are those of the keeper without its watches: there may be two, the
// one over the stores of the logs, kept for the server, and the one that tells when
// cgroups are empty, opened when the keeper has to wait for one first.
func (c *chaos) keeperDescriptors() []string {
	list := allDescriptors(c.keeperPID())
	for range 2 {
		i := slices.IndexFunc(list, func(d string) bool { return strings.HasSuffix(d, " anon_inode:inotify") })
		if i >= 0 {
			list = slices.Delete(list, i, i+1) // a third one is too many
		}
	}
	return list
}

// rest waits until nothing happens any more and looks at what is left.
func (c *chaos) rest() {
	c.t.Helper()
	if !c.killer.find(0) {
		return
	}
	done, cancel := context.WithCancel(c.t.Context())
	cancel()
	for _, s := range c.services {
		if !resting(s) {
			continue
		}
		a := newChaosActor(c, s, nil, done)
		if a.stop() && a.wait(sock.GoalDown) && s.counted {
			a.countAll()
		}
		a.client.Close()
	}
	if c.t.Failed() {
		return
	}
	c.until("as few descriptors in the keeper as before", func() (string, bool) {
		now := c.keeperDescriptors()
		return fmt.Sprintf("%d were\n%s\nand %d are\n%s", len(c.before), strings.Join(c.before, "\n"), len(now), strings.Join(now, "\n")), len(now) <= len(c.before)
	})
	c.until("what a server needs at rest", func() (string, bool) {
		list := allDescriptors(c.killer.server)
		why := c.leaks(list)
		return why + ":\n" + strings.Join(list, "\n"), why == ""
	})
	c.count("descriptors of the keeper", len(c.before))
	for _, p := range childrenOf(c.keeperPID()) {
		if p.state == "Z" {
			c.t.Errorf("it is not reaped: %v", p)
		}
	}
	c.must("stop-all")
	c.readRest()
}

// leaks says what of the descriptors of a server is too much at rest: a file twice,
// or more pipes or sockets than there is use for.
func (c *chaos) leaks(list []string) string {
	seen := map[string]int{}
	pipes, sockets := 0, 0
	for _, d := range list {
		_, to, _ := strings.Cut(d, " ")
		switch {
		case strings.HasPrefix(to, "socket:"):
			sockets++
		case strings.HasPrefix(to, "pipe:"):
			pipes++
		case to == c.serverLog() || !strings.HasPrefix(to, c.dir+"/"):
			continue
		}
		if seen[to]++; seen[to] > 1 {
			return to + " is there twice"
		}
	}
	running := len(namesOf(c.services, func(s chaosService) bool { return !resting(s) }))
	const channels, clients = 3, 3 // two to the keeper and the one that listens; those that follow and hear
	if pipes > 2*running || sockets > channels+clients {
		return fmt.Sprintf("there are %d pipes for %d services and %d sockets", pipes, running, sockets)
	}
	return ""
}

// countAll compares the restarts that the server counts with the lives that there
// were: each but the two that were asked for is one. A process that was stopped
// before it could write that it began is in neither or in the first.
func (a *chaosActor) countAll() {
	s, ok := a.status()
	if err := a.diary.read(); err != nil || !ok {
		a.errorf("%v", err)
		return
	}
	if more := s.Restarts - int64(a.diary.begun()-2); more < 0 || more > 2 {
		a.errorf("there were %d lives, two of them asked for, and the server counts %d restarts", a.diary.begun(), s.Restarts)
	}
	unnoted := 0
	for _, e := range a.diary.lives[1:] {
		if !e.ended {
			unnoted++
		}
	}
	if unnoted > 2 { // it was stopped twice
		a.errorf("%d lives ended that do not know how: %+v", unnoted, a.diary.lives)
	}
}

// readRest waits until all has ended and every line has been read, or will not be.
func (c *chaos) readRest() {
	c.t.Helper()
	names := namesOf(c.services, func(chaosService) bool { return true })
	c.must(append([]string{"wait", "--state", "down", "--timeout", patience.String()}, names...)...)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	unread := func(r chaosReader) bool {
		n, _ := r.unread()
		return n > 0
	}
	for slices.ContainsFunc(c.readers, unread) {
		select {
		case <-again.C:
		case <-late:
			return // they will be counted
		}
	}
}

// shutdown ends the instance and what reads along.
func (c *chaos) shutdown() {
	c.t.Helper()
	c.instance.shutdown()
	c.unwatch()
	c.ends.Wait()
	for _, r := range c.readers {
		if err := r.close(); err != nil {
			c.t.Error(err)
		}
		r.chaosLines.close()
		for _, note := range r.notes {
			c.t.Error(note)
		}
		c.count("lines", r.lines)
		c.count("lines missing", r.missing)
		c.count("lines torn", r.torn)
		c.count("lines doubled", r.doubled)
		c.count("lines late", r.late)
	}
}

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// logOnDisk has the keeper and the servers log into a file: it gets long.
func (c *chaos) logOnDisk() {
	f, err := os.Create(c.serverLog())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { f.Close() })
	before := c.alter
	c.alter = func(cmd *exec.Cmd) {
		before(cmd)
		cmd.Stdout, cmd.Stderr = f, f
	}
}

func (c *chaos) serverLog() string { return filepath.Join(c.dir, "server.log") }

// A chaosReader reads the lines of one service from one place.
type chaosReader struct {
	*chaosLines
	close func() error
}

// watch begins to read all lines and events.
func (c *chaos) watch() {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	c.unwatch = cancel
	c.t.Cleanup(func() {
		cancel()
		c.ends.Wait()
	})
	c.ends.Go(func() { c.listen(ctx) })
	var tails []*chaosTail
	for _, s := range c.services {
		lines := newChaosLines(s.name, c.meters[s.name], ownInFile)
		lines.explain = func(should ...[]byte) string {
			return c.lastDeath() + c.inStore(s.name, should)
		}
		tail := &chaosTail{path: c.path(s.name, "out"), punch: true, lines: lines}
		switch {
		case s.file:
		case s.raw:
			lines.own = ownInStore
			var found []string
			c.until("the store of "+s.name, func() (last string, ok bool) { // its first line may be on its way
				var err error
				found, err = filepath.Glob(filepath.Join(c.dir, "*", "logs", s.name+".log"))
				return fmt.Sprint(found, err), len(found) == 1
			})
			tail.path, tail.punch = found[0], false
		case s.followed:
			c.readers = append(c.readers, chaosReader{lines, func() error { return nil }})
			c.ends.Go(func() { c.follow(ctx, s.name, lines) })
			continue
		default:
			continue
		}
		tails = append(tails, tail)
		c.readers = append(c.readers, chaosReader{lines, tail.close})
	}
	c.ends.Go(func() { c.readAlong(ctx, tails) })
}

// lastDeath says when a server was done away with last.
func (c *chaos) lastDeath() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%v after %s; ", time.Since(c.death.at).Round(time.Millisecond), c.death.how)
}

// inStore says whether the store of a service has some lines. They may be gone from
// there: it keeps the last of them only.
func (c *chaos) inStore(name string, lines [][]byte) (words string) {
	found, err := filepath.Glob(filepath.Join(c.dir, "*", "logs", name+".log"))
	if err != nil || len(found) != 1 || len(lines) == 0 {
		return fmt.Sprintf("stores: %v", found)
	}
	f, err := os.Open(found[0])
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	// What is released is a hole, which may be large.
	if _, err := f.Seek(0, unix.SEEK_DATA); err != nil {
		return err.Error()
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	for _, line := range lines {
		words += fmt.Sprintf("in the store %q: %v; ", line[:min(40, len(line))], bytes.Contains(text, line))
	}
	return words + fmt.Sprintf("it has %d bytes from %.60q on", len(text), text[:min(60, len(text))])
}

// readAlong reads the files as they grow.
func (c *chaos) readAlong(ctx context.Context, tails []*chaosTail) {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for over := false; !over; {
		select {
		case <-again.C:
		case <-ctx.Done():
			over = true // what there is now is the last
		}
		for _, t := range tails {
			if err := t.more(); err != nil {
				c.t.Error(err)
				return
			}
		}
	}
}

// follow reads the lines of a service as a client does.
func (c *chaos) follow(ctx context.Context, name string, lines *chaosLines) {
	client, err := sock.Dial(ctx, c.socket)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer client.Close()
	for line, err := range client.Follow(ctx, sock.LogsFollowParams{Names: []string{name}, Lines: 1 << 20}) {
		if err != nil {
			c.t.Errorf("%s cannot be followed any more: %v", name, err)
			return
		}
		if line.Dropped > 0 {
			c.t.Errorf("%s: %d bytes were dropped before %q", name, line.Dropped, line.Content)
		}
		if line.Stream != "zinit" {
			lines.feed([]byte(line.Content))
		}
	}
}

// listen hears the events.
func (c *chaos) listen(ctx context.Context) {
	client, err := sock.Dial(ctx, c.socket)
	if err != nil {
		c.t.Error(err)
		return
	}
	defer client.Close()
	for e, err := range client.Events(ctx, sock.EventsParams{Now: true}) {
		if err != nil {
			c.t.Errorf("the events end: %v", err)
			return
		}
		c.mu.Lock()
		c.heard = append(c.heard, e)
		c.mu.Unlock()
	}
}

// ownInFile tells the lines that zinit itself writes into log files.
func ownInFile(line []byte) bool {
	return bytes.HasPrefix(line, []byte("[zinit: ")) && bytes.HasSuffix(line, []byte("]"))
}

// ownInStore tells them in a store; whose they are is written beside it.
func ownInStore(line []byte) bool { return endWords.Match(line) }

// endWords are how zinit says that a process ended.
var endWords = regexp.MustCompile(`^(?:stopped \()?(exit code|killed by signal) (\d+)\)?$`)

// endOf undoes endWords: an exit code, or minus a signal.
func endOf(why string) (how int, ok bool) {
	m := endWords.FindStringSubmatch(why)
	if m == nil {
		return 0, false
	}
	how, err := strconv.Atoi(m[2])
	if m[1] != "exit code" {
		how = -how
	}
	return how, err == nil
}

// compare looks whether what zinit said of the ends of processes is what they wrote
// into their diaries.
func (c *chaos) compare() {
	ends := map[string]map[int][]diaryEntry{} // by service and pid
	for _, s := range c.services {
		d := diary{path: c.path(s.name, "diary")}
		if err := d.read(); err != nil {
			c.t.Error(err)
			continue // nothing is compared with it
		}
		ends[s.name] = map[int][]diaryEntry{}
		for _, e := range d.lives[1:] {
			ends[s.name][e.pid] = append(ends[s.name][e.pid], e)
			if e.ended {
				c.count("ends that were noted", 1)
			}
		}
		c.count("processes of services", d.begun())
		if s.untouched && d.begun() != 1 {
			c.t.Errorf("%s had %d processes, though nobody touched it", s.name, d.begun())
		}
	}
	for _, e := range c.heard {
		if e.Type == sock.EventState && (e.To == sock.Exited || e.To == sock.Failed) {
			c.compareOne("an event", ends[e.Service], e.Service, e.PID, e.Reason)
		}
	}
	text, err := os.ReadFile(c.serverLog())
	if err != nil {
		c.t.Fatal(err)
	}
	c.readLog(string(text), ends)
	if text, err := os.ReadFile(filepath.Join(c.room, "doubles")); err == nil {
		c.t.Errorf("two processes of one service lived at a time:\n%s", text)
	}
}

func (c *chaos) compareOne(who string, ends map[int][]diaryEntry, service string, pid int, why string) {
	if strings.Contains(why, "not seen") || strings.Contains(why, "not known") {
		c.t.Errorf("%s says of %s as %d: %s", who, service, pid, why)
	}
	how, ok := endOf(why)
	if !ok || pid == 0 || ends == nil {
		return
	}
	noted := ends[pid]
	if !slices.ContainsFunc(noted, func(e diaryEntry) bool { return e.how == how || !e.ended }) {
		c.t.Errorf("%s says of %s as %d: %s, its diary says %+v", who, service, pid, why, noted)
	}
	c.count("ends compared with "+who, 1)
}

// logField finds KEY=VALUE in a line of the server's log.
var logField = regexp.MustCompile(`(\w+)=("(?:[^"\\]|\\.)*"|\S+)`)

// readLog looks at all that the keeper and the servers wrote.
func (c *chaos) readLog(text string, ends map[string]map[int][]diaryEntry) {
	strange := map[string]int{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		fields := map[string]string{}
		for _, m := range logField.FindAllStringSubmatch(line, -1) {
			fields[m[1]] = strings.Trim(m[2], `"`)
		}
		switch {
		case strings.Contains(line, "panic") || strings.Contains(line, "fatal error"):
			c.t.Errorf("the log says: %s", line)
		case len(words) > 2 && words[2] == "state":
			if fields["to"] == sock.Exited || fields["to"] == sock.Failed {
				pid, _ := strconv.Atoi(fields["pid"]) // 0: it does not say
				c.compareOne("the log", ends[fields["service"]], fields["service"], pid, fields["why"])
			}
		case len(words) > 1 && (words[1] == "error" || words[1] == "warn"):
			message, _, _ := strings.Cut(strings.Join(words[1:], " "), "=")
			strange[message]++
			if strange[message] == 1 {
				c.t.Logf("the log says: %s", line)
			}
		}
	}
	for message, n := range strange {
		c.count("the log says "+fmt.Sprintf("%.60s", message), n)
	}
}

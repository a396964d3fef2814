package main_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"zinit/sock"
)

// What TestChaos is told from outside; "./build.sh chaos" sets both.
const (
	chaosTimeVar = "ZINIT_CHAOS"      // for how long, as Go writes durations
	chaosSeedVar = "ZINIT_CHAOS_SEED" // a number; what is drawn follows from it, only the moments do not
)

// chaosShort is how long it takes among the other tests.
const chaosShort = time.Minute

// TestChaos has services write, crash, restart, start and stop while the server is
// killed, stopped and replaced at random moments, and looks whether anything was
// lost: lines, exit statuses, orders, processes, descriptors.
func TestChaos(t *testing.T) {
	t.Parallel()
	length, seed := chaosShort, rand.Uint64()
	if text := os.Getenv(chaosTimeVar); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv(chaosSeedVar); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	c := newChaos(t, seed, chaosServices())
	c.begin()
	c.run(length)
	c.rest()
	c.shutdown()
	c.compare()
	c.report(length)
}

// A chaosService is one of the services.
type chaosService struct {
	name, mode string
	lines      []string // further lines of its file
	file       bool     // logs into a file
	raw        bool     // its store is read as it is: it has lines of one stream only
	followed   bool     // by logs.subscribe
	act        func(*chaosActor)
	untouched  bool // it must have one process for ever
	counted    bool // each end is followed by a restart of the policy
}

// Services in a hurry, and those that nobody keeps from ending.
const (
	hurried  = "restart = \"always\"\nrestart_delay_ms = 0\nrestart_delay_max_ms = 40\nmax_restarts = 0"
	patient  = "restart = \"always\"\nrestart_delay_ms = 20\nrestart_delay_max_ms = 60\nmax_restarts = 0"
	onFail   = "restart = \"on-failure\"\nrestart_delay_ms = 5\nrestart_delay_max_ms = 20\nmax_restarts = 0"
	forgiven = "restart = \"never\""
)

func chaosServices() []chaosService {
	big := "[logging]\nbuffer_lines = 1000000\nbuffer_bytes = \"64M\""
	return []chaosService{
		{name: "still-1", mode: "still", file: true, untouched: true},
		{name: "still-2", mode: "still", file: true, untouched: true},
		{name: "told-1", mode: "still", lines: []string{big}, followed: true, untouched: true},
		{name: "told-2", mode: "still", lines: []string{lifecycle, hurried, big}, followed: true, act: (*chaosActor).wander},
		{name: "flood", mode: "flood", lines: []string{lifecycle, patient, big}, raw: true, act: (*chaosActor).stroll},
		{name: "pair", mode: "pair", lines: []string{lifecycle, patient}, file: true, act: (*chaosActor).stroll},
		{name: "brief-1", mode: "brief", lines: []string{stopped, lifecycle, hurried}, file: true, counted: true},
		{name: "brief-2", mode: "brief", lines: []string{stopped, lifecycle, patient}, file: true, counted: true},
		{name: "fickle-1", mode: "fickle", lines: []string{stopped, lifecycle, onFail}, file: true, act: (*chaosActor).urge},
		{name: "fickle-2", mode: "fickle", lines: []string{stopped, lifecycle, onFail}, file: true, act: (*chaosActor).urge},
		{name: "once", mode: "brief", lines: []string{stopped, lifecycle, forgiven}, file: true, act: (*chaosActor).repeat},
		{name: "task", mode: "brief", lines: []string{stopped, "oneshot = true"}, file: true, act: (*chaosActor).repeat},
		{name: "work-1", mode: "still", lines: []string{lifecycle, hurried}, file: true, act: (*chaosActor).wander},
		{name: "work-2", mode: "family", lines: []string{lifecycle, patient}, file: true, act: (*chaosActor).wander},
		{name: "deaf", mode: "deaf", lines: []string{lifecycle, hurried, "stop_timeout_ms = 120"}, file: true, act: (*chaosActor).wander},
		{name: "base", mode: "still", lines: []string{lifecycle, hurried}, file: true, act: (*chaosActor).lead},
		{name: "on-base", mode: "still", lines: []string{requires("base"), lifecycle, hurried}, file: true},
	}
}

// A chaos is one run of the test.
type chaos struct {
	*instance
	t        *testing.T
	seed     uint64
	room     string // the directory of diaries, meters and log files
	services []chaosService
	meters   map[string]*chaosMeter
	killer   *chaosKiller
	readers  []chaosReader
	ends     sync.WaitGroup // of the goroutines that watch
	unwatch  context.CancelFunc
	before   []string // descriptors of the keeper

	mu     sync.Mutex
	counts map[string]int // guarded by mu; for the report
	heard  []sock.Event   // guarded by mu
	death  chaosDeath     // guarded by mu; the last one
}

func newChaos(t *testing.T, seed uint64, services []chaosService) *chaos {
	t.Helper()
	c := &chaos{t: t, seed: seed, services: services, meters: map[string]*chaosMeter{}, counts: map[string]int{}}
	t.Cleanup(func() {
		for _, m := range c.meters {
			m.close()
		}
	})
	c.instance = newInstance(t, nil)
	c.room = filepath.Join(c.dir, "room")
	if err := os.Mkdir(c.room, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.services {
		if s.file {
			s.lines = append(s.lines, fmt.Sprintf("[logging]\nfile = %q", c.path(s.name, "out")))
		}
		c.write(s.name, file(s.name, fmt.Sprintf("%s %s %s %s %d", childExec(t, "chaos"), c.room, s.name, s.mode, seed), s.lines...))
		m, err := openChaosMeter(c.path(s.name, "meter"))
		if err != nil {
			t.Fatal(err)
		}
		c.meters[s.name] = m
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.keep()
		}
	})
	c.killer = newChaosKiller(c, rand.New(rand.NewPCG(seed, 0)))
	return c
}

// keep says how to do the same again, and puts what is known of a failure where it
// outlives the test.
func (c *chaos) keep() {
	c.t.Logf("the seed was %d: %s=%d", c.seed, chaosSeedVar, c.seed)
	kept, err := os.MkdirTemp("", "zinit-chaos-")
	if err != nil {
		c.t.Log(err)
		return
	}
	files, _ := filepath.Glob(filepath.Join(c.room, "*.diary"))
	for _, path := range append(files, c.serverLog()) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(filepath.Join(kept, filepath.Base(path)), text, 0o644)
		}
		if err != nil {
			c.t.Log(err)
		}
	}
	c.t.Logf("the log of the servers and the diaries of the services are in %s", kept)
}

// path is a file about a service: diary, meter, or out for its log file.
func (c *chaos) path(name, kind string) string { return filepath.Join(c.room, name+"."+kind) }

// count adds to a number of the report.
func (c *chaos) count(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// resting are the services that only run in the chaos itself.
func resting(s chaosService) bool { return slices.Contains(s.lines, stopped) }

// begin starts everything once, so that all there will be of files is there, looks
// what that takes at rest, and starts the rest again.
func (c *chaos) begin() {
	c.t.Helper()
	c.killer.prepare()
	c.logOnDisk()
	c.spawn()
	c.until("an answer", func() (string, bool) {
		out, code := c.zinit("ping")
		return out, code == 0
	})
	rest := namesOf(c.services, resting)
	c.zinit(append([]string{"start"}, rest...)...) // some end with a failure at once
	c.haveLived(1)
	if len(rest) > 0 {
		c.must(append([]string{"stop", "--wait"}, rest...)...)
	}
	c.watch()
	c.killer.kill("kill -9")
	c.before = c.keeperDescriptors()
	lives := c.haveLived(0)
	c.zinit(append([]string{"start"}, rest...)...)
	for _, name := range rest {
		c.hasLived(name, lives[name]+1)
	}
}

// hasLived returns when a service has had so many lives.
func (c *chaos) hasLived(name string, n int) int {
	c.t.Helper()
	d := diary{path: c.path(name, "diary")}
	c.until(fmt.Sprintf("life %d of %s", n, name), func() (string, bool) {
		err := d.read()
		return fmt.Sprint(err), err == nil && d.begun() >= n
	})
	return d.begun()
}

// haveLived is the same for all services.
func (c *chaos) haveLived(n int) map[string]int {
	c.t.Helper()
	lives := map[string]int{}
	for _, s := range c.services {
		lives[s.name] = c.hasLived(s.name, n)
	}
	return lives
}

// run is the chaos itself.
func (c *chaos) run(length time.Duration) {
	ctx, cancel := context.WithTimeout(c.t.Context(), length)
	defer cancel()
	var all sync.WaitGroup
	for i, s := range c.services {
		if s.act != nil {
			a := newChaosActor(c, s, rand.New(rand.NewPCG(c.seed, uint64(i+1))), ctx)
			all.Go(func() {
				s.act(a)
				a.client.Close()
			})
		}
	}
	all.Go(func() { c.killer.run(ctx) })
	all.Wait()
}

func namesOf(services []chaosService, so func(chaosService) bool) (names []string) {
	for _, s := range services {
		if so(s) {
			names = append(names, s.name)
		}
	}
	return names
}

// report prints the figures.
func (c *chaos) report(length time.Duration) {
	c.killer.report(length)
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		c.t.Logf("%-32s %d", what, c.counts[what])
	}
}

// Fault 13: kill -9 of the server while services log at full speed.
func TestFault13AKilledServerCostsNoLine(t *testing.T) {
	t.Parallel()
	var services []chaosService
	for _, s := range chaosServices() {
		if s.name == "flood" || s.name == "pair" || s.name == "still-1" || s.name == "told-1" {
			s.act, s.untouched = nil, true
			services = append(services, s)
		}
	}
	c := newChaos(t, 13, services)
	c.begin()
	again := time.NewTicker(60 * time.Millisecond)
	defer again.Stop()
	for range 25 {
		<-again.C
		c.killer.kill("kill -9")
	}
	c.rest()
	c.shutdown()
	c.compare()
	if c.counts["lines"] < 100_000 {
		t.Errorf("only %d lines were written", c.counts["lines"])
	}
}

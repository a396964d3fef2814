package supervise

import (
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/launch"
)

// instant is a keeper for which everything succeeds at once: what it has to tell
// waits until deliver.
type instant struct {
	events []reap.Event
	pids   int
	plans  int
}

func (k *instant) Spawn(s launch.Order) {
	k.pids++
	k.events = append(k.events, reap.Spawned{Key: s.Key, Run: s.Run, Pid: k.pids})
}

func (k *instant) Signal(key string, run uint64, sig syscall.Signal, _ reap.Scope) {
	k.events = append(k.events, reap.Exited{Key: key, Run: run, Status: reap.KilledBy(sig)})
}

func (k *instant) Watch(string, uint64, int)           {}
func (k *instant) Keep(string, *os.File) error         { return nil }
func (k *instant) Ack(string, uint64)                  {}
func (k *instant) Release(string)                      {}
func (k *instant) Plan([]reap.PlanStep, time.Duration) { k.plans++ }
func (k *instant) Draining()                           {}
func (k *instant) Flush() bool                         { return true }

// bench is a core that an instant keeper drives.
type bench struct {
	c *core
	k *instant
}

func newBench() *bench {
	k := &instant{}
	c := newCore(Parts{
		Keeper: k, Logs: noLogs{}, Log: slog.New(slog.DiscardHandler),
	})
	c.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &bench{c, k}
}

// boot takes in a configuration, until all is quiet.
func (b *bench) boot(set *config.Set) {
	b.c.load(set, reap.Inventory{})
	b.c.turn()
	b.deliver()
}

// deliver passes on events, a turn of the loop for each, until there are none, and
// returns how many there were.
func (b *bench) deliver() int {
	n := 0
	for ; n < len(b.k.events); n++ {
		b.c.keeperEvent(b.k.events[n])
		b.c.turn()
	}
	b.k.events = b.k.events[:0]
	return n
}

func (b *bench) mustBeUp(tb testing.TB) {
	for _, r := range b.c.recs {
		if !r.m.Satisfied() {
			tb.Fatalf("%s is %s", r.name, r.m.State)
		}
	}
}

func benchService(name string, requires ...string) *config.Service {
	s := config.Default()
	s.Name, s.Exec, s.Command.Argv, s.Requires = name, "/x", []string{"/x"}, requires
	s.Lifecycle.RestartDelayMax, s.Lifecycle.StabilityPeriod = time.Minute, time.Minute
	return s
}

// shapes are the graphs that are measured.
var shapes = []struct {
	name string
	make func() *config.Set
}{
	{"independent/10000", func() *config.Set {
		set := &config.Set{}
		for i := range 10000 {
			set.Services = append(set.Services, benchService(fmt.Sprintf("s%d", i)))
		}
		return set
	}},
	{"independent/1000", func() *config.Set {
		set := &config.Set{}
		for i := range 1000 {
			set.Services = append(set.Services, benchService(fmt.Sprintf("s%d", i)))
		}
		return set
	}},
	{"edges/10000x5", func() *config.Set {
		set := &config.Set{}
		for i := range 10000 {
			s := benchService(fmt.Sprintf("s%d", i))
			for e := range min(5, i) {
				s.Requires = append(s.Requires, fmt.Sprintf("s%d", (i*7919+e*104729)%i))
			}
			set.Services = append(set.Services, s)
		}
		return set
	}},
	{"fan-in/5000", func() *config.Set {
		set := &config.Set{}
		all := &config.Service{Name: "all", Target: true}
		for i := range 5000 {
			s := benchService(fmt.Sprintf("s%d", i))
			set.Services = append(set.Services, s)
			all.Requires = append(all.Requires, s.Name)
		}
		set.Services = append(set.Services, all)
		return set
	}},
	{"fan-out/5000", func() *config.Set {
		set := &config.Set{Services: []*config.Service{benchService("base")}}
		for i := range 5000 {
			set.Services = append(set.Services, benchService(fmt.Sprintf("s%d", i), "base"))
		}
		return set
	}},
	{"layers/10x50", layers(10, 50)},
	{"chain/1000", layers(1000, 1)},
}

// layers is a graph in which each service requires the whole layer below.
func layers(deep, wide int) func() *config.Set {
	return func() *config.Set {
		set := &config.Set{}
		var below []string
		for l := range deep {
			var names []string
			for w := range wide {
				names = append(names, fmt.Sprintf("l%d-%d", l, w))
				set.Services = append(set.Services, benchService(names[w], below...))
			}
			below = names
		}
		return set
	}
}

// perService reports a figure that shows growth: it should not depend on how many
// services there are.
func perService(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/service")
}

// BenchmarkBoot is from the configuration in memory to everything Running.
func BenchmarkBoot(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			set := shape.make()
			b.ReportAllocs()
			for b.Loop() {
				w := newBench()
				w.boot(set)
				w.mustBeUp(b)
			}
			perService(b, len(set.Services))
		})
	}
}

// BenchmarkBootWatched is a boot with somebody who waits for all of it, and a
// reader who looks after every hundredth event.
func BenchmarkBootWatched(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			set := shape.make()
			var names []string
			for _, s := range set.Services {
				names = append(names, s.Name)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := newBench()
				w.c.load(set, reap.Inventory{})
				w.c.turn()
				answered := false
				w.c.wait(&waiter{names: names, goal: GoalUp, settle: true, done: func([]Waited) { answered = true }})
				for n := 0; n < len(w.k.events); n++ {
					w.c.keeperEvent(w.k.events[n])
					w.c.turn()
					if n%100 == 0 {
						w.c.snapshot()
					}
				}
				if !answered {
					b.Fatal("everything is up, and the wait goes on")
				}
			}
			perService(b, len(set.Services))
		})
	}
}

// BenchmarkShutdown is from everything Running to nothing.
func BenchmarkShutdown(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			set := shape.make()
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				w := newBench()
				w.boot(set)
				b.StartTimer()
				w.c.shutdown()
				w.c.turn()
				w.deliver()
				if !w.c.down() {
					b.Fatal("not down")
				}
			}
			perService(b, len(set.Services))
		})
	}
}

// BenchmarkCrash is one service's end and restart among many: four events.
func BenchmarkCrash(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			w := newBench()
			w.boot(shape.make())
			r := w.c.order[len(w.c.order)/2]
			b.ReportAllocs()
			for b.Loop() {
				w.c.now = w.c.now.Add(2 * time.Minute) // a good run
				w.k.events = append(w.k.events, reap.Exited{Key: r.name, Run: uint64(r.m.Run()), Status: reap.ExitCode(1)})
				w.deliver()
				w.c.now = w.c.now.Add(time.Second)
				w.c.turn()
				w.deliver()
				if !r.m.Satisfied() {
					b.Fatalf("%s is %s", r.name, r.m.State)
				}
			}
		})
	}
}

// BenchmarkCascade stops the first service and starts it again, with all that
// requires it.
func BenchmarkCascade(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			w := newBench()
			w.boot(shape.make())
			first := w.c.order[0].name
			b.ReportAllocs()
			events := 0
			for b.Loop() {
				if err := w.c.stop(first); err != nil {
					b.Fatal(err)
				}
				w.c.turn()
				events += w.deliver()
				if err := w.c.start(first, false); err != nil {
					b.Fatal(err)
				}
				w.c.turn()
				events += w.deliver()
			}
			w.mustBeUp(b)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}

// BenchmarkReload takes in the same configuration again.
func BenchmarkReload(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			set := shape.make()
			w := newBench()
			w.boot(set)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.c.reload(Change{Set: set}); err != nil {
					b.Fatal(err)
				}
				w.c.turn()
			}
			perService(b, len(set.Services))
		})
	}
}

// TestCostsGrowWithTheGraph: an event of one service among ten thousand costs no
// more than among a hundred. Counted in allocations, which do not depend on the
// machine.
func TestCostsGrowWithTheGraph(t *testing.T) {
	cost := func(n int) float64 {
		set := &config.Set{}
		all := &config.Service{Name: "all", Target: true}
		for i := range n {
			s := benchService(fmt.Sprintf("s%d", i))
			set.Services = append(set.Services, s)
			all.Requires = append(all.Requires, s.Name)
		}
		set.Services = append(set.Services, all)
		w := newBench()
		w.boot(set)
		w.mustBeUp(t)
		r := w.c.order[n/2]
		return testing.AllocsPerRun(100, func() {
			w.c.now = w.c.now.Add(2 * time.Minute)
			w.k.events = append(w.k.events, reap.Exited{Key: r.name, Run: uint64(r.m.Run()), Status: reap.ExitCode(1)})
			w.deliver()
			w.c.now = w.c.now.Add(time.Second)
			w.c.turn()
			w.deliver()
		})
	}
	few, many := cost(100), cost(10000)
	if many > few+2 {
		t.Errorf("a crash costs %.0f allocations among 100 services, %.0f among 10,000", few, many)
	}
}

// BenchmarkEvents is the loop's part in one service's end and restart, with so many
// who listen.
func BenchmarkEvents(b *testing.B) {
	for _, listeners := range []int{0, 1, 1000} {
		b.Run(fmt.Sprint(listeners), func(b *testing.B) {
			w := newBench()
			s := &Supervisor{core: w.c, done: make(chan struct{}), feed: newFeed()}
			w.c.feed = s.feed
			w.boot(shapes[1].make())
			defer close(s.done)
			for range listeners {
				s.feed.listen(s.done)
				sub := s.feed.subscribe()
				go func() {
					for {
						if _, err := sub.Next(b.Context()); err != nil {
							return
						}
					}
				}()
			}
			r := w.c.order[len(w.c.order)/2]
			b.ReportAllocs()
			for b.Loop() {
				w.c.now = w.c.now.Add(2 * time.Minute) // a good run
				w.k.events = append(w.k.events, reap.Exited{Key: r.name, Run: uint64(r.m.Run()), Status: reap.ExitCode(1)})
				w.deliver()
				w.c.now = w.c.now.Add(time.Second)
				w.c.turn()
				s.endTurn()
				w.deliver()
				s.endTurn()
			}
		})
	}
}

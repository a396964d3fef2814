package depgraph

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEmptyGraph(t *testing.T) {
	g, faults := Build(nil)
	if g.Len() != 0 || len(faults) != 0 || len(g.StartOrder()) != 0 || len(g.StopWaves(all)) != 0 || len(g.Ready(all, none)) != 0 {
		t.Errorf("a graph of nothing has something: %+v %v", g, faults)
	}
	if _, ok := g.Index("a"); ok {
		t.Error("a graph of nothing knows a name")
	}
	if cycle := g.CycleWith("a", Node{Requires: []string{"b"}}); cycle != nil {
		t.Error(cycle)
	}
}

func TestTheFirstOfTheSameNameCounts(t *testing.T) {
	g, faults := Build([]Node{{Name: "a"}, {Name: "b", Requires: []string{"a"}}, {Name: "a", Requires: []string{"b", "x"}}})
	if g.Len() != 2 || len(faults) != 0 || len(g.Out(0)) != 0 {
		t.Errorf("%d nodes, faults %v, a names %v", g.Len(), faults, g.Out(0))
	}
}

func TestTexts(t *testing.T) {
	long := make([]string, 1001)
	for i := range long {
		long[i] = fmt.Sprint("s", i%1000)
	}
	cycle := &CycleError{Path: []string{"a", "b", "c", "a"}}
	for _, test := range []struct {
		name string
		got  string
		want string
	}{
		{"kinds", fmt.Sprint(Requires, After, Wants, Conflicts, Awaits, Kind(9)), "requires after wants conflicts awaits kind 9"},
		{"cycle", cycle.Error(), "dependency cycle: a -> b -> c -> a"},
		{"long cycle", (&CycleError{Path: long}).Error(), "dependency cycle: s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 -> s10 -> s11 -> ... 985 more ... -> s997 -> s998 -> s999 -> s0"},
		{"missing", Fault{Name: "web", Missing: "db"}.Error(), "web: requires db, which does not exist: add it, or drop it from requires"},
		{"awaits missing", Fault{Name: "web", Missing: "db", MissingKind: Awaits}.Error(), "web: awaits db, which does not exist: add it, or drop it from awaits"},
		{"cycle fault", Fault{Name: "b", Cycle: cycle}.Error(), "b: dependency cycle: a -> b -> c -> a: remove one of these dependencies"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}

func TestBlockersCarryTheFacts(t *testing.T) {
	g, _ := Build([]Node{{Name: "web", Requires: []string{"db"}, Conflicts: []string{"old"}}, {Name: "db"}, {Name: "old"}})
	got := g.Blockers(0, func(j int) Fact { return Fact{Attempted: true, Active: true} })
	fact := Fact{Attempted: true, Active: true}
	if want := []Blocker{{"db", Requires, fact}, {"old", Conflicts, fact}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestResultsDoNotShareMemoryWithTheGraph(t *testing.T) {
	g, _ := Build([]Node{{Name: "a", Requires: []string{"gone"}}, {Name: "b", Requires: []string{"a"}}})
	zero := func(int) Fact { return Fact{} }
	g.StartOrder()[0] = 99
	g.StopWaves(all)[0][0] = 99
	g.Closure(1)[0] = 99
	g.Blockers(0, zero)[0].Name = "changed"
	_ = append(g.Out(0), Edge{99, Wants}) // must not reach b's edges
	if got := g.Blockers(0, zero)[0].Name; got != "gone" {
		t.Errorf("the blocker is now %s", got)
	}
	if g.StartOrder()[0] != 0 || g.StopWaves(all)[0][0] != 1 || g.Closure(1)[0] != 0 || g.Out(1)[0].To != 0 {
		t.Error("a caller changed the graph")
	}
}

// deadline fails the test when its work takes absurdly long: what should take
// milliseconds is quadratic then.
func deadline(t *testing.T) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() {
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestChainOf100000(t *testing.T) {
	deadline(t)
	const n = 100_000
	nodes := chain(n)
	g, faults := Build(nodes)
	if len(faults) != 0 {
		t.Fatal(faults[0])
	}
	waves := g.StopWaves(all)
	if len(waves) != n || waves[0][0] != n-1 || waves[n-1][0] != 0 {
		t.Errorf("%d waves", len(waves))
	}
	order := g.StartOrder()
	if order[0] != 0 || order[n-1] != n-1 {
		t.Error("the chain does not start at its end")
	}
	if d := g.Dependents(0); len(d) != n-1 || d[0] != n-1 {
		t.Errorf("%d dependents", len(d))
	}
	if c := g.Closure(n - 1); len(c) != n || c[0] != 0 {
		t.Errorf("%d in the closure", len(c))
	}
	cycle := g.CycleWith(nodes[0].Name, Node{After: []string{nodes[n-1].Name}})
	if cycle == nil || len(cycle.Path) != n+1 {
		t.Error("closing the chain makes no cycle")
	}
}

func TestRingOf100000(t *testing.T) {
	deadline(t)
	const n = 100_000
	nodes := chain(n)
	nodes[0].Wants = []string{nodes[n-1].Name}
	g, faults := Build(nodes)
	if len(faults) != n || len(faults[0].Cycle.Path) != n+1 {
		t.Fatalf("%d faults", len(faults))
	}
	if len(faults[0].Error()) > 1000 {
		t.Errorf("the message has %d bytes", len(faults[0].Error()))
	}
	if waves := g.StopWaves(all); len(waves) != 1 || len(waves[0]) != n {
		t.Errorf("%d waves", len(waves))
	}
}

// In a component where each search for a cycle is long and finds little, not
// every member gets a search of its own; each has a true cycle all the same.
func TestEntangledComponentIsBounded(t *testing.T) {
	deadline(t)
	const n = 20_000
	nodes := layered(n, 5*n)
	nodes[0].After = []string{nodes[n-1].Name}
	for i := 1; i < n; i++ {
		nodes[i].After = append(nodes[i].After, nodes[0].Name)
		nodes[n-1].Wants = append(nodes[n-1].Wants, nodes[i-1].Name)
	}
	g, faults := Build(nodes)
	if len(faults) != n {
		t.Fatalf("%d faults, want %d", len(faults), n)
	}
	through := 0
	for _, f := range faults {
		path := f.Cycle.Path
		if slices.Contains(path, f.Name) {
			through++
		}
		for k := range path[1:] {
			i, _ := g.Index(path[k])
			to, _ := g.Index(path[k+1])
			if !slices.ContainsFunc(g.Out(i), func(e Edge) bool { return int(e.To) == to }) {
				t.Fatalf("%v: %s does not name %s", f, path[k], path[k+1])
			}
		}
	}
	if through < 3 || through > n/10 {
		t.Errorf("%d members of %d have a cycle of their own: the search gave up too soon or too late", through, n)
	}
}

func TestConcurrentReaders(t *testing.T) {
	g, _ := Build(layered(300, 1_500))
	want := strings.Join(g.namesOf(g.StartOrder()), " ")
	done := make(chan string)
	for range 4 {
		go func() {
			g.StopWaves(all)
			g.Ready(all, none)
			g.Closure(299)
			g.Dependents(0)
			g.CycleWith("new", Node{Requires: []string{g.Name(1)}})
			done <- strings.Join(g.namesOf(g.StartOrder()), " ")
		}()
	}
	for range 4 {
		if got := <-done; got != want {
			t.Error("a reader saw another order")
		}
	}
}

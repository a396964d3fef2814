package depgraph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// decode makes nodes from bytes: a name and a number of relations each, then a
// kind and a name per relation. Some names belong to no node, and some nodes share
// one.
func decode(data []byte) []Node {
	next := func() int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b)
	}
	space := 1 + next()%40
	name := func() string { return fmt.Sprintf("n%02d", next()%(space+2)) }
	var nodes []Node
	for len(data) > 0 && len(nodes) < 64 {
		node := Node{Name: name()}
		for range next() % 6 {
			lists := [...]*[]string{&node.Requires, &node.After, &node.Wants, &node.Conflicts, &node.Awaits}
			list := lists[next()%len(lists)]
			*list = append(*list, name())
		}
		nodes = append(nodes, node)
	}
	return nodes
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{3, 0, 1, 0, 0})
	f.Add([]byte{3, 0, 1, 0, 1, 1, 1, 1, 0})
	random := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		data := make([]byte, random.IntN(200))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { check(t, decode(data)) })
}

func TestRandomGraphsKeepTheirPromises(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 3_000 {
		data := make([]byte, random.IntN(300))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		check(t, decode(data))
		if t.Failed() {
			return
		}
	}
}

// check compares what Build makes of nodes with a plain model of it.
func check(t *testing.T, nodes []Node) {
	t.Helper()
	g, faults := Build(nodes)
	m := modelOf(nodes)
	if g.Len() != len(m.names) {
		t.Fatalf("%d nodes, want %d", g.Len(), len(m.names))
	}
	m.checkFaults(t, faults)
	m.checkEdges(t, g)
	m.checkOrders(t, g)
	m.checkReach(t, g)
	m.checkCycleWith(t, g, nodes)
	checkShuffled(t, g, faults, nodes)
	if t.Failed() {
		t.Logf("nodes: %+v", nodes)
	}
}

// A model holds the same graph in the simplest form: sets of names.
type model struct {
	nodes map[string]Node
	names []string                   // in the order given
	edges map[string]map[string]bool // over all ordering kinds, known names only
	reach map[string]map[string]bool // in one step or more
}

func modelOf(nodes []Node) *model {
	m := &model{nodes: map[string]Node{}, edges: map[string]map[string]bool{}}
	for _, node := range nodes {
		if _, taken := m.nodes[node.Name]; !taken {
			m.nodes[node.Name] = node
			m.names = append(m.names, node.Name)
		}
	}
	for name, node := range m.nodes {
		m.edges[name] = map[string]bool{}
		for _, to := range slices.Concat(node.Requires, node.After, node.Wants, node.Awaits) {
			if _, known := m.nodes[to]; known {
				m.edges[name][to] = true
			}
		}
	}
	m.reach = closure(m.edges)
	return m
}

func closure(edges map[string]map[string]bool) map[string]map[string]bool {
	reach := map[string]map[string]bool{}
	for from := range edges {
		met := map[string]bool{}
		todo := []string{from}
		for len(todo) > 0 {
			name := todo[0]
			todo = todo[1:]
			for to := range edges[name] {
				if !met[to] {
					met[to] = true
					todo = append(todo, to)
				}
			}
		}
		reach[from] = met
	}
	return reach
}

func (m *model) only(kinds ...Kind) map[string]map[string]bool {
	edges := map[string]map[string]bool{}
	for name, node := range m.nodes {
		edges[name] = map[string]bool{}
		for _, k := range kinds {
			for _, to := range node.names(k) {
				if _, known := m.nodes[to]; known {
					edges[name][to] = true
				}
			}
		}
	}
	return closure(edges)
}

func (n Node) names(k Kind) []string {
	return map[Kind][]string{Requires: n.Requires, After: n.After, Wants: n.Wants,
		Conflicts: n.Conflicts, Awaits: n.Awaits}[k]
}

func (m *model) checkFaults(t *testing.T, faults []Fault) {
	t.Helper()
	if !slices.IsSortedFunc(faults, func(a, b Fault) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("the faults are not sorted: %v", faults)
	}
	byName := map[string]Fault{}
	for _, f := range faults {
		if _, twice := byName[f.Name]; twice {
			t.Errorf("two faults of %s", f.Name)
		}
		byName[f.Name] = f
	}
	for _, name := range m.names {
		f := byName[name]
		if onCycle := m.reach[name][name]; onCycle != (f.Cycle != nil) {
			t.Errorf("%s: on a cycle: %v, fault: %+v", name, onCycle, f)
		}
		if f.Cycle != nil {
			m.checkCycle(t, m.edges, name, f.Cycle.Path)
		}
		missing, kind := "", Requires
		for _, k := range []Kind{Requires, Awaits} {
			for _, to := range m.nodes[name].names(k) {
				if _, known := m.nodes[to]; !known && missing == "" {
					missing, kind = to, k
				}
			}
		}
		if f.Missing != missing || f.MissingKind != kind {
			t.Errorf("%s misses %s (%s), want %q (%s)", name, f.Missing, f.MissingKind, missing, kind)
		}
	}
}

// checkCycle checks that path is a cycle, and that it passes name.
func (m *model) checkCycle(t *testing.T, edges map[string]map[string]bool, name string, path []string) {
	t.Helper()
	if len(path) < 2 || path[0] != path[len(path)-1] || !slices.Contains(path, name) {
		t.Fatalf("%s: %v is no cycle through it", name, path)
	}
	for i := range path[1:] {
		if !edges[path[i]][path[i+1]] {
			t.Errorf("%s: there is no edge %s -> %s in %v", name, path[i], path[i+1], path)
		}
		if slices.Contains(path[i+1:len(path)-1], path[i]) {
			t.Errorf("%s: %v passes %s twice", name, path, path[i])
		}
	}
}

func (m *model) checkEdges(t *testing.T, g *Graph) {
	t.Helper()
	ins := 0
	for i := range g.Len() {
		name := g.Name(i)
		node := m.nodes[name]
		if j, ok := g.Index(name); !ok || j != i || name != m.names[i] {
			t.Errorf("node %d is %s, whose index is %d", i, name, j)
		}
		got := map[string][]Kind{}
		for _, e := range g.Out(i) {
			to := g.Name(int(e.To))
			got[to] = append(got[to], e.Kind)
			if !slices.Contains(g.In(int(e.To)), Edge{int32(i), e.Kind}) {
				t.Errorf("%s %s %s is out, but not in", name, e.Kind, to)
			}
		}
		ins += len(g.In(i)) - len(g.Out(i))
		for to := range m.edges[name] {
			if want := kindsOf(node, to); !slices.Equal(got[to], want) {
				t.Errorf("%s to %s: %v, want %v", name, to, got[to], want)
			}
			delete(got, to)
		}
		if len(got) > 0 {
			t.Errorf("%s has edges from nowhere: %v", name, got)
		}
		if names := g.namesOf(g.Conflicts(i)); !slices.IsSorted(names) || len(slices.Compact(names)) != len(g.Conflicts(i)) {
			t.Errorf("%s conflicts with %v", name, g.namesOf(g.Conflicts(i)))
		}
		for j := range g.Len() {
			other := m.nodes[g.Name(j)]
			want := i != j && (slices.Contains(node.Conflicts, other.Name) || slices.Contains(other.Conflicts, name))
			if slices.Contains(g.Conflicts(i), int32(j)) != want {
				t.Errorf("%s conflicts with %s: want %v", name, other.Name, want)
			}
		}
	}
	if ins != 0 {
		t.Errorf("%d more edges in than out", ins)
	}
}

// kindsOf is what is left of the relations of node to another when the implied
// ones are gone.
func kindsOf(node Node, to string) []Kind {
	has := func(k Kind) bool { return slices.Contains(node.names(k), to) }
	if has(Requires) {
		return []Kind{Requires}
	}
	var kinds []Kind
	if has(Awaits) {
		kinds = append(kinds, Awaits)
	} else if has(After) {
		kinds = append(kinds, After)
	}
	if has(Wants) {
		kinds = append(kinds, Wants)
	}
	return kinds
}

func (m *model) checkOrders(t *testing.T, g *Graph) {
	t.Helper()
	order := g.namesOf(g.StartOrder())
	place := map[string]int{}
	for k, name := range order {
		place[name] = k
	}
	if len(place) != g.Len() || len(order) != g.Len() {
		t.Fatalf("%d nodes in the order %v", g.Len(), order)
	}
	looped := func(name string) bool { return m.reach[name][name] }
	for k, name := range order {
		for to := range m.edges[name] {
			if !looped(name) && !looped(to) && place[to] > k {
				t.Errorf("%s starts before %s", name, to)
			}
		}
		if k == 0 {
			continue
		}
		before := order[k-1]
		switch {
		case looped(before) && (!looped(name) || before > name):
			t.Errorf("%s starts before %s: members of cycles are last, by name", before, name)
		case !looped(before) && !looped(name) && before > name && !m.edges[name][before]:
			// Only a node that waited for the one before may come after it
			// against the alphabet; over a cycle it may have waited indirectly.
			if !m.reach[name][before] && !m.waitsForACycle(name) {
				t.Errorf("%s starts before %s for no reason", before, name)
			}
		}
	}
	m.checkWaves(t, g, func(int) bool { return true })
	m.checkWaves(t, g, func(i int) bool { return i%3 != 0 })
}

func (m *model) waitsForACycle(name string) bool {
	for to := range m.reach[name] {
		if m.reach[to][to] {
			return true
		}
	}
	return false
}

func (m *model) checkWaves(t *testing.T, g *Graph, among func(int) bool) {
	t.Helper()
	wave := map[string]int{}
	for w, nodes := range g.StopWaves(among) {
		names := g.namesOf(nodes)
		if len(names) == 0 || !slices.IsSorted(names) {
			t.Errorf("wave %d is %v", w, names)
		}
		for k, name := range names {
			if _, twice := wave[name]; twice || !among(int(nodes[k])) {
				t.Errorf("%s must not be in wave %d", name, w)
			}
			wave[name] = w
		}
	}
	for i := range g.Len() {
		name := g.Name(i)
		w, in := wave[name]
		if in != among(i) {
			t.Errorf("%s is in a wave: %v", name, in)
		}
		if !in {
			continue
		}
		// The first wave after all that name it, however indirectly.
		first := 0
		for other, its := range wave {
			if m.reach[other][name] && !m.reach[name][other] {
				first = max(first, its+1)
			} else if m.reach[other][name] && its != w {
				t.Errorf("%s and %s are on a cycle, in waves %d and %d", name, other, w, its)
			}
		}
		alone := !m.reach[name][name]
		if w < first || alone && w != first {
			t.Errorf("%s is in wave %d, want %d", name, w, first)
		}
	}
}

func (m *model) checkReach(t *testing.T, g *Graph) {
	t.Helper()
	requires, pulls := m.only(Requires), m.only(Requires, Wants)
	up := func(i int) bool { return i%2 == 0 }
	ready := g.Ready(up, func(i int) bool { return i%3 == 0 })
	for i := range g.Len() {
		name := g.Name(i)
		wantClosure, wantDependents := map[string]bool{name: true}, map[string]bool{}
		for other := range m.nodes {
			if pulls[name][other] {
				wantClosure[other] = true
			}
			if requires[other][name] && other != name {
				wantDependents[other] = true
			}
		}
		m.checkSet(t, name+" closure", g.namesOf(g.Closure(i)), wantClosure)
		dependents := g.namesOf(g.Dependents(i))
		slices.Reverse(dependents)
		m.checkSet(t, name+" dependents", dependents, wantDependents)

		want := i%3 != 0 && !m.reach[name][name]
		for _, to := range slices.Concat(m.nodes[name].Requires, m.nodes[name].Awaits) {
			j, known := g.Index(to)
			want = want && known && up(j)
		}
		if slices.Contains(ready, int32(i)) != want {
			t.Errorf("%s is ready: want %v", name, want)
		}
	}
}

// checkSet checks that names are exactly want, each after what it names.
func (m *model) checkSet(t *testing.T, what string, names []string, want map[string]bool) {
	t.Helper()
	if len(names) != len(want) {
		t.Errorf("%s: %v, want %v", what, names, want)
	}
	for k, name := range names {
		if !want[name] {
			t.Errorf("%s: %s does not belong there", what, name)
		}
		for _, later := range names[k+1:] {
			if m.reach[name][later] && !m.reach[later][name] {
				t.Errorf("%s: %s comes before %s", what, name, later)
			}
		}
	}
}

// checkCycleWith asks for each name what would be if it had the relations of
// another node, and compares with a graph that has it.
func (m *model) checkCycleWith(t *testing.T, g *Graph, nodes []Node) {
	t.Helper()
	for k := range min(len(nodes), 8) {
		name := fmt.Sprintf("n%02d", k)
		changed := nodes[len(nodes)-1-k]
		changed.Name = name
		after := modelOf(append([]Node{changed}, nodes...))
		cycle := g.CycleWith(name, changed)
		if want := after.reach[name][name]; want != (cycle != nil) {
			t.Errorf("CycleWith(%s, %+v) = %v, want one: %v", name, changed, cycle, want)
		} else if want {
			after.checkCycle(t, after.edges, name, cycle.Path)
		}
	}
}

// checkShuffled checks that the order in which the nodes are given does not
// matter, as long as no name is given twice.
func checkShuffled(t *testing.T, g *Graph, faults []Fault, nodes []Node) {
	t.Helper()
	if g.Len() != len(nodes) {
		return
	}
	reversed := slices.Clone(nodes)
	slices.Reverse(reversed)
	r, again := Build(reversed)
	if got, want := fmt.Sprint(again), fmt.Sprint(faults); got != want {
		t.Errorf("faults %s, in another order %s", want, got)
	}
	if got, want := r.namesOf(r.StartOrder()), g.namesOf(g.StartOrder()); !slices.Equal(got, want) {
		t.Errorf("order %v, in another order %v", want, got)
	}
}

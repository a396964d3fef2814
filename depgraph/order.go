package depgraph

import "slices"

// StartOrder returns all nodes so that each comes after everything it names; ties
// break by name. Members of cycles have no place in such an order: they come last,
// by name. The slice is the caller's.
func (g *Graph) StartOrder() []int32 {
	order := make([]int32, 0, g.Len())
	for _, i := range g.order {
		if !g.looped[i] {
			order = append(order, i)
		}
	}
	for _, i := range g.byName {
		if g.looped[i] {
			order = append(order, i)
		}
	}
	return order
}

// StopWaves returns the nodes for which among says yes, in the waves of a
// shutdown: a wave is stopped at once, and the next one when all of it has
// stopped. Every node is in the first wave that comes after all that name it, in
// whatever kind; also over nodes that are not among them, because what is needed
// through a finished oneshot is needed too. Members of a cycle share a wave.
// A wave is never empty and is sorted by name. It costs O(V + E), and among is
// asked once per node.
func (g *Graph) StopWaves(among func(i int) bool) [][]int32 {
	chosen := make([]bool, g.Len())
	wave := make([]int32, g.members.len()) // of each component
	last := int32(-1)
	// Down the numbers: who names a component was dealt with before it.
	for c := g.members.len() - 1; c >= 0; c-- {
		next := wave[c]
		for _, i := range g.members.list(c) {
			if among(int(i)) {
				chosen[i] = true
				next = wave[c] + 1
				last = max(last, wave[c])
			}
		}
		for _, i := range g.members.list(c) {
			for _, e := range g.Out(int(i)) {
				if to := g.component[e.To]; int(to) != c {
					wave[to] = max(wave[to], next)
				}
			}
		}
	}

	sizes := make([]int32, last+1)
	for i, yes := range chosen {
		if yes {
			sizes[wave[g.component[i]]]++
		}
	}
	waves, next := newLists[int32](sizes)
	for _, i := range g.byName {
		if chosen[i] {
			w := wave[g.component[i]]
			waves.flat[next[w]] = i
			next[w]++
		}
	}
	result := make([][]int32, waves.len())
	for w := range result {
		result[w] = waves.list(w)
	}
	return result
}

// findComponents numbers the strongly connected components: Tarjan's algorithm,
// with a stack of its own in place of recursion. It closes a component when all
// that its members name is closed, which gives the numbers their order.
func (g *Graph) findComponents() {
	n := g.Len()
	g.component = make([]int32, n)
	g.looped = make([]bool, n)
	g.members = lists[int32]{at: make([]int32, 1, n+1), flat: make([]int32, 0, n)}
	t := tarjan{
		g:    g,
		seen: make([]int32, n),
		low:  make([]int32, n),
		next: slices.Clone(g.out.at[:n]),
	}
	for _, root := range g.byName {
		if t.seen[root] == 0 {
			t.walk(root)
		}
	}
}

type tarjan struct {
	g     *Graph
	count int32
	seen  []int32 // when the node was met, from 1; 0 is not yet
	low   []int32 // the earliest open node that the node can reach
	next  []int32 // the node's next edge to follow, an index into out.flat
	path  []int32 // from the root to the node at work
	open  []int32 // met, but not yet in a component
}

// closed marks the low of a node whose component is complete.
const closed = -1

func (t *tarjan) walk(root int32) {
	t.enter(root)
	for len(t.path) > 0 {
		i := t.path[len(t.path)-1]
		if t.next[i] == t.g.out.at[i+1] {
			t.leave(i)
			continue
		}
		to := t.g.out.flat[t.next[i]].To
		t.next[i]++
		switch {
		case to == i:
			t.g.looped[i] = true
		case t.seen[to] == 0:
			t.enter(to)
		case t.low[to] != closed:
			t.low[i] = min(t.low[i], t.seen[to])
		}
	}
}

func (t *tarjan) enter(i int32) {
	t.count++
	t.seen[i], t.low[i] = t.count, t.count
	t.path = append(t.path, i)
	t.open = append(t.open, i)
}

// leave goes back from i, all of whose edges have been followed.
func (t *tarjan) leave(i int32) {
	t.path = t.path[:len(t.path)-1]
	low := t.low[i]
	if low == t.seen[i] {
		t.close(i)
	}
	if len(t.path) > 0 {
		up := t.path[len(t.path)-1]
		t.low[up] = min(t.low[up], low)
	}
}

// close makes a component of i and what was met after it and is still open.
func (t *tarjan) close(i int32) {
	g := t.g
	from := len(t.open) - 1
	for t.open[from] != i {
		from--
	}
	members := t.open[from:]
	t.open = t.open[:from]
	number := int32(g.members.len())
	for _, m := range members {
		t.low[m] = closed
		g.component[m] = number
		g.looped[m] = g.looped[m] || len(members) > 1
	}
	g.sortByName(members)
	g.members.flat = append(g.members.flat, members...)
	g.members.at = append(g.members.at, int32(len(g.members.flat)))
}

// findOrder sorts the components topologically (Kahn's algorithm); of those that
// are free at the same time the one with the first name goes first.
func (g *Graph) findOrder() {
	n := g.Len()
	g.order = make([]int32, 0, n)
	g.position = make([]int32, n)
	waits := make([]int32, g.members.len()) // edges to components not yet placed
	for i := range n {
		c := g.component[i]
		for _, e := range g.Out(i) {
			if g.component[e.To] != c {
				waits[c]++
			}
		}
	}
	// A component goes by the rank of its first member.
	var free rankHeap
	release := func(c int32) { free.push(g.rank[g.members.list(int(c))[0]]) }
	for c, w := range waits {
		if w == 0 {
			release(int32(c))
		}
	}
	for len(free) > 0 {
		c := g.component[g.byName[free.pop()]]
		for _, i := range g.members.list(int(c)) {
			g.position[i] = int32(len(g.order))
			g.order = append(g.order, i)
			for _, e := range g.In(int(i)) {
				from := g.component[e.To]
				if from == c {
					continue
				}
				if waits[from]--; waits[from] == 0 {
					release(from)
				}
			}
		}
	}
}

func (g *Graph) sortByName(nodes []int32) {
	slices.SortFunc(nodes, func(a, b int32) int { return int(g.rank[a]) - int(g.rank[b]) })
}

func (g *Graph) sortByOrder(nodes []int32) {
	slices.SortFunc(nodes, func(a, b int32) int { return int(g.position[a]) - int(g.position[b]) })
}

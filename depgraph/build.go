package depgraph

import (
	"cmp"
	"slices"
)

// Build links nodes by name. It never fails as a whole: the nodes that cannot be
// satisfied are in the graph like the others, and in the list of faults, which is
// sorted by name and has at most one fault per node. Of several nodes with the
// same name the first counts. The graph shares no memory with nodes but the
// strings.
func Build(nodes []Node) (*Graph, []Fault) {
	g := &Graph{
		index:   make(map[string]int32, len(nodes)),
		unmet:   map[int32][]Blocker{},
		unknown: map[string][]int32{},
	}
	nodes = g.nameNodes(nodes)
	g.linkOut(nodes)
	g.linkIn()
	g.linkConflicts(nodes)
	g.findComponents()
	g.findOrder()
	return g, g.findFaults()
}

// nameNodes gives the nodes their index and rank, and returns them without
// duplicates.
func (g *Graph) nameNodes(nodes []Node) []Node {
	unique := make([]Node, 0, len(nodes))
	for _, node := range nodes {
		if _, taken := g.index[node.Name]; taken {
			continue
		}
		g.index[node.Name] = int32(len(unique))
		unique = append(unique, node)
	}
	g.names = make([]string, len(unique))
	g.byName = make([]int32, len(unique))
	g.rank = make([]int32, len(unique))
	for i := range unique {
		g.names[i] = unique[i].Name
		g.byName[i] = int32(i)
	}
	slices.SortFunc(g.byName, func(a, b int32) int { return cmp.Compare(g.names[a], g.names[b]) })
	for r, i := range g.byName {
		g.rank[i] = int32(r)
	}
	return unique
}

// linkOut resolves the names that each node mentions in an ordering kind.
func (g *Graph) linkOut(nodes []Node) {
	n, total := len(nodes), 0
	for i := range nodes {
		node := &nodes[i]
		total += len(node.Requires) + len(node.Awaits) + len(node.After) + len(node.Wants)
	}
	g.out = lists[Edge]{at: make([]int32, n+1), flat: make([]Edge, 0, total)}
	l := linker{g: g, seen: make([]uint64, n), strange: map[string]int{}}
	for i := range nodes {
		node := &nodes[i]
		// Strongest first: what a stronger kind implies is then already seen.
		l.add(i, Requires, node.Requires)
		l.add(i, Awaits, node.Awaits)
		l.add(i, After, node.After)
		l.add(i, Wants, node.Wants)
		g.out.at[i+1] = int32(len(g.out.flat))
	}
}

// A linker resolves names to edges and keeps each relation once.
type linker struct {
	g *Graph
	// seen holds, for each name, the node that mentioned it last (plus one) and
	// the kinds in which it did (low eight bits). Unknown names follow the nodes.
	seen    []uint64
	strange map[string]int // place of an unknown name in seen
}

// impliedBy is the set of kinds that make a relation of kind k redundant.
func impliedBy(k Kind) uint64 {
	switch k {
	case Awaits:
		return 1<<Requires | 1<<Awaits
	case After:
		return 1<<Requires | 1<<Awaits | 1<<After
	}
	return 1<<Requires | 1<<k
}

// add gives node i an edge of kind k to each of the names that is new to it.
func (l *linker) add(i int, k Kind, names []string) {
	g := l.g
	for _, name := range names {
		to, known := g.index[name]
		place := int(to)
		if !known {
			place = l.stranger(name)
		}
		kinds := uint64(0)
		if l.seen[place]>>8 == uint64(i)+1 {
			kinds = l.seen[place] & 0xff
		}
		if kinds&impliedBy(k) != 0 {
			continue
		}
		l.seen[place] = (uint64(i)+1)<<8 | kinds | 1<<k
		if known {
			g.out.flat = append(g.out.flat, Edge{to, k})
			continue
		}
		if kinds == 0 {
			g.unknown[name] = append(g.unknown[name], int32(i))
		}
		if k == Requires || k == Awaits {
			g.unmet[int32(i)] = append(g.unmet[int32(i)], Blocker{Name: name, Kind: k})
		}
	}
}

// stranger returns the place in seen of a name that no node has.
func (l *linker) stranger(name string) int {
	place, ok := l.strange[name]
	if !ok {
		place = len(l.seen)
		l.strange[name] = place
		l.seen = append(l.seen, 0)
	}
	return place
}

// linkIn turns the edges round.
func (g *Graph) linkIn() {
	sizes := make([]int32, g.Len())
	for _, e := range g.out.flat {
		sizes[e.To]++
	}
	in, next := newLists[Edge](sizes)
	// By name, so that each list comes out sorted by name.
	for _, i := range g.byName {
		for _, e := range g.Out(int(i)) {
			in.flat[next[e.To]] = Edge{i, e.Kind}
			next[e.To]++
		}
	}
	g.in = in
}

// linkConflicts collects the conflicts of both sides.
func (g *Graph) linkConflicts(nodes []Node) {
	type pair struct{ a, b int32 } // ranks
	var pairs []pair
	for i := range nodes {
		for _, name := range nodes[i].Conflicts {
			j, known := g.index[name]
			if !known || int(j) == i {
				continue
			}
			pairs = append(pairs, pair{g.rank[i], g.rank[j]}, pair{g.rank[j], g.rank[i]})
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
	pairs = slices.Compact(pairs)

	sizes := make([]int32, g.Len())
	for _, p := range pairs {
		sizes[g.byName[p.a]]++
	}
	conflicts, next := newLists[int32](sizes)
	for _, p := range pairs {
		i := g.byName[p.a]
		conflicts.flat[next[i]] = g.byName[p.b]
		next[i]++
	}
	g.conflicts = conflicts
}

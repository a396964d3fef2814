package depgraph

import "slices"

// A Fact is what the caller knows of a node at the moment.
type Fact struct {
	// Satisfied: those that require or await it may start.
	Satisfied bool
	// Attempted: it was started, whatever came of it, or it will never be; those
	// that are after it may start.
	Attempted bool
	// Active: it is up, or on its way up or down; its conflicts may not start.
	Active bool
}

// A Blocker is a reason why a node is not starting.
type Blocker struct {
	// Name is the other node. Kind is the relation to it: Requires, Awaits, After
	// or Conflicts (declared by either side).
	Name string
	Kind Kind
	// Fact is what the caller knows of it; nothing, where no node has this name.
	Fact
}

// Blockers returns what keeps i from starting: unknown names first, then its
// requires and awaits that are not satisfied, its after that were not attempted,
// its conflicts that are active. It is empty when i may start (or is on a cycle
// of wants alone, see Fault). It asks facts for the neighbours of i only, and
// allocates nothing when there are no blockers.
func (g *Graph) Blockers(i int, facts func(j int) Fact) []Blocker {
	blockers := slices.Clone(g.unmet[int32(i)])
	for _, e := range g.Out(i) {
		if e.Kind == Wants {
			continue
		}
		fact := facts(int(e.To))
		open := fact.Satisfied
		if e.Kind == After {
			open = fact.Attempted
		}
		if !open {
			blockers = append(blockers, Blocker{g.names[e.To], e.Kind, fact})
		}
	}
	for _, j := range g.Conflicts(i) {
		if fact := facts(int(j)); fact.Active {
			blockers = append(blockers, Blocker{g.names[j], Conflicts, fact})
		}
	}
	return blockers
}

// Ready returns, in start order, the nodes that are not started and have all they
// require and await satisfied. Faulty nodes are never ready. Order (after) and
// conflicts change from one start to the next: Blockers tells. The slice is the
// caller's.
func (g *Graph) Ready(satisfied, started func(i int) bool) []int32 {
	var ready []int32
	for _, i := range g.order {
		if !g.looped[i] && len(g.unmet[i]) == 0 && !started(int(i)) && g.met(i, satisfied) {
			ready = append(ready, i)
		}
	}
	return ready
}

func (g *Graph) met(i int32, satisfied func(i int) bool) bool {
	for _, e := range g.Out(int(i)) {
		if (e.Kind == Requires || e.Kind == Awaits) && !satisfied(int(e.To)) {
			return false
		}
	}
	return true
}

// Dependents returns what goes down with i: those that require it, those that
// require them and so on, without i, each before what it names. The slice is the
// caller's.
func (g *Graph) Dependents(i int) []int32 {
	found := g.reach(i, g.In, func(k Kind) bool { return k == Requires })[1:]
	g.sortByOrder(found)
	slices.Reverse(found)
	return found
}

// Closure returns what a start of i starts: i, what it requires and wants, what
// that requires and wants and so on, each after what it names. The slice is the
// caller's.
func (g *Graph) Closure(i int) []int32 {
	found := g.reach(i, g.Out, func(k Kind) bool { return k == Requires || k == Wants })
	g.sortByOrder(found)
	return found
}

// reach returns i, and after it all that can be reached from it along edges of
// the kinds that follow allows. Its cost depends on what it finds, not on the
// size of the graph.
func (g *Graph) reach(i int, edges func(i int) []Edge, follow func(Kind) bool) []int32 {
	found := []int32{int32(i)}
	met := map[int32]bool{int32(i): true}
	for at := 0; at < len(found); at++ {
		for _, e := range edges(int(found[at])) {
			if follow(e.Kind) && !met[e.To] {
				met[e.To] = true
				found = append(found, e.To)
			}
		}
	}
	return found
}

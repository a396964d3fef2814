package depgraph

import "strconv"

// A Kind says how one service relates to another.
type Kind uint8

const (
	// Requires needs the other satisfied, and goes down with it.
	Requires Kind = iota
	// After is order only: the other must have been attempted.
	After
	// Wants has the other started too, but does not insist.
	Wants
	// Conflicts is never together, whichever side says so.
	Conflicts
	// Awaits needs the other satisfied to start, and does not go down with it.
	Awaits
)

// String returns the word of the configuration file: "requires", "after", ...
func (k Kind) String() string {
	switch k {
	case Requires:
		return "requires"
	case After:
		return "after"
	case Wants:
		return "wants"
	case Conflicts:
		return "conflicts"
	case Awaits:
		return "awaits"
	}
	return "kind " + strconv.Itoa(int(k))
}

// A Node is a service and the names it mentions. A name may be mentioned twice
// and may be unknown.
type Node struct {
	Name                                      string
	Requires, After, Wants, Conflicts, Awaits []string
}

// An Edge is one end of a relation: To is the index of the node at the other end.
type Edge struct {
	To   int32
	Kind Kind
}

// A Graph is what Build made of a set of nodes. It is immutable and safe for
// concurrent use. Nodes are known by their index, 0 to Len()-1, in the order in
// which they were given to Build (duplicates left out); methods panic on an index
// outside of that range, like a slice does.
type Graph struct {
	names []string
	index map[string]int32

	byName []int32 // the nodes, sorted by name
	rank   []int32 // its inverse: rank[byName[r]] == r

	out, in   lists[Edge]
	conflicts lists[int32]

	// Components are the strongly connected components, so that a cycle is one
	// component and every other node is its own.
	// Invariant: what a node names is in a component with the same or a lower
	// number.
	component []int32 // of each node
	members   lists[int32]
	looped    []bool // whether the node is on a cycle

	order    []int32 // topological over components, ties by name
	position []int32 // its inverse

	unmet   map[int32][]Blocker // requires and awaits of unknown names
	unknown map[string][]int32  // who names an unknown name, in an ordering kind
}

// lists is a slice of slices in one piece of memory: list i is
// flat[at[i]:at[i+1]].
type lists[T any] struct {
	at   []int32
	flat []T
}

// newLists returns lists with room for the given sizes, and the place where the
// next element of each list goes.
func newLists[T any](sizes []int32) (l lists[T], next []int32) {
	l.at = make([]int32, len(sizes)+1)
	for i, size := range sizes {
		l.at[i+1] = l.at[i] + size
	}
	l.flat = make([]T, l.at[len(sizes)])
	// The sizes have been read: their memory serves as the cursors.
	copy(sizes, l.at)
	return l, sizes
}

func (l *lists[T]) len() int { return len(l.at) - 1 }

// list is capped, so that an append by a caller cannot reach its neighbour.
func (l *lists[T]) list(i int) []T {
	from, to := l.at[i], l.at[i+1]
	return l.flat[from:to:to]
}

// Len is the number of nodes.
func (g *Graph) Len() int { return len(g.names) }

// Index returns the index of the named node, and whether there is one.
func (g *Graph) Index(name string) (int, bool) {
	i, ok := g.index[name]
	return int(i), ok
}

// Name returns the name of node i.
func (g *Graph) Name(i int) string { return g.names[i] }

// Out returns what i names: its requires, awaits, after and wants, in this order
// and within a kind as written. Unknown names are left out, and so is what a
// stronger relation to the same node already says: requires implies the other
// three, awaits implies after. (So a node that i both wants and is after is there
// twice.) The slice is shared: do not modify it.
func (g *Graph) Out(i int) []Edge { return g.out.list(i) }

// In returns who names i, with the same relations as Out, by name. The slice is
// shared: do not modify it.
func (g *Graph) In(i int) []Edge { return g.in.list(i) }

// Conflicts returns the nodes that must not be up together with i, by name,
// whichever side declared it. A node's conflict with itself is ignored. The slice
// is shared: do not modify it.
func (g *Graph) Conflicts(i int) []int32 { return g.conflicts.list(i) }

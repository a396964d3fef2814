package depgraph

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// layered returns n nodes with about edges edges that all point to earlier nodes;
// every hundredth node has a conflict.
func layered(n, edges int) []Node {
	random := rand.New(rand.NewPCG(1, 2))
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("service-%05d", (i*7919)%n)
	}
	for range edges {
		i := 1 + random.IntN(n-1)
		to := nodes[random.IntN(i)].Name
		switch node := &nodes[i]; random.IntN(4) {
		case 0, 1:
			node.Requires = append(node.Requires, to)
		case 2:
			node.After = append(node.After, to)
		case 3:
			node.Wants = append(node.Wants, to)
		}
	}
	for i := 100; i < n; i += 100 {
		nodes[i].Conflicts = []string{nodes[i-1].Name}
	}
	return nodes
}

// chain returns n nodes, each of which requires the one before.
func chain(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i].Name = fmt.Sprintf("s%06d", i)
		if i > 0 {
			nodes[i].Requires = []string{nodes[i-1].Name}
		}
	}
	return nodes
}

func all(int) bool  { return true }
func none(int) bool { return false }

func BenchmarkBuild10k(b *testing.B) {
	nodes := layered(10_000, 50_000)
	b.ReportAllocs()
	for b.Loop() {
		g, faults := Build(nodes)
		if len(faults) > 0 || len(g.StartOrder()) != g.Len() || len(g.StopWaves(all)) == 0 {
			b.Fatal("the graph is not as it was made")
		}
	}
}

func BenchmarkBuildTangled(b *testing.B) {
	// One component of 10,000 with short cycles everywhere: the worst for faults.
	nodes := layered(10_000, 50_000)
	for i := range nodes {
		nodes[i].After = append(nodes[i].After, nodes[(i+1)%len(nodes)].Name)
	}
	for b.Loop() {
		if _, faults := Build(nodes); len(faults) != len(nodes) {
			b.Fatal("the graph is not as it was made")
		}
	}
}

func BenchmarkStopWaves10k(b *testing.B) {
	g, _ := Build(layered(10_000, 50_000))
	b.ReportAllocs()
	for b.Loop() {
		g.StopWaves(all)
	}
}

func BenchmarkReady10k(b *testing.B) {
	g, _ := Build(layered(10_000, 50_000))
	for b.Loop() {
		g.Ready(all, none)
	}
}

func BenchmarkBlockers(b *testing.B) {
	g, _ := Build(layered(10_000, 50_000))
	up := func(int) Fact { return Fact{Satisfied: true, Attempted: true} }
	b.ReportAllocs()
	for b.Loop() {
		g.Blockers(5_000, up)
	}
}

package proc

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// family makes processes of pid, parent and start time.
func family(members ...[3]int) (all []Process) {
	for _, m := range members {
		all = append(all, Process{Pid: m[0], Ppid: m[1], Start: uint64(m[2])})
	}
	return all
}

func pidsOf(list []Process) []int {
	pids := []int{}
	for _, p := range list {
		pids = append(pids, p.Pid)
	}
	return pids
}

func TestDescendants(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []Process
		of   int
		want []int
	}{
		{"nobody", nil, 10, nil},
		{"no children", family([3]int{10, 1, 5}), 10, nil},
		{"each under its parent", family([3]int{10, 1, 5}, [3]int{30, 10, 6}, [3]int{20, 10, 6}, [3]int{40, 20, 7}, [3]int{25, 30, 8}, [3]int{50, 40, 9}), 10, []int{20, 40, 50, 30, 25}},
		{"part of a tree", family([3]int{10, 1, 5}, [3]int{20, 10, 6}, [3]int{30, 20, 6}), 20, []int{30}},
		{"pids that began anew", family([3]int{900, 1, 5}, [3]int{12, 900, 6}), 900, []int{12}},
		{"of the same tick", family([3]int{10, 1, 5}, [3]int{20, 10, 5}), 10, []int{20}},
		{"older than its parent", family([3]int{10, 1, 5}, [3]int{20, 10, 4}, [3]int{30, 20, 9}), 10, nil},
		{"children of one that is gone", family([3]int{20, 10, 6}), 10, nil},
		{"its own parent", family([3]int{10, 10, 5}), 10, nil},
		{"a ring", family([3]int{10, 30, 5}, [3]int{20, 10, 5}, [3]int{30, 20, 5}), 10, []int{20, 30}},
	} {
		if got := pidsOf(NewTree(c.all).Descendants(c.of)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestFindKnowsAPidThatWasUsedAgain(t *testing.T) {
	tree := NewTree(family([3]int{10, 1, 5}))
	for _, c := range []struct {
		pid   int
		start uint64
		want  bool
	}{{10, 5, true}, {10, 0, true}, {10, 4, false}, {10, 6, false}, {11, 5, false}, {11, 0, false}} {
		p, ok := tree.Find(c.pid, c.start)
		if ok != c.want || ok && p.Pid != c.pid {
			t.Errorf("%+v: %+v, %v", c, p, ok)
		}
	}
}

func TestChildrenAreThoseOfOneGeneration(t *testing.T) {
	tree := NewTree(family([3]int{10, 1, 5}, [3]int{30, 10, 6}, [3]int{20, 10, 6}, [3]int{40, 20, 7}))
	if got := pidsOf(tree.Children(10)); !slices.Equal(got, []int{20, 30}) {
		t.Errorf("got %v", got)
	}
}

// TestAnyListHasATree: whatever was read, each process descends from another once
// at most, and never from itself.
func TestAnyListHasATree(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var all []Process
		for range r.IntN(12) {
			all = append(all, Process{Pid: 1 + r.IntN(8), Ppid: r.IntN(9), Start: uint64(r.IntN(3))})
		}
		tree := NewTree(all)
		for pid := range 9 {
			got := pidsOf(tree.Descendants(pid))
			if slices.Contains(got, pid) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
				t.Fatalf("%+v: of %d descend %v", all, pid, got)
			}
		}
	}
}

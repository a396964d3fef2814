package depgraph

// A rankHeap is a heap of ranks, the smallest on top. (container/heap would
// allocate for each element.)
type rankHeap []int32

func (h *rankHeap) push(r int32) {
	s := append(*h, r)
	i := len(s) - 1
	for i > 0 && s[(i-1)/2] > r {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = r
	*h = s
}

// pop takes the smallest rank out of a heap that is not empty.
func (h *rankHeap) pop() int32 {
	s := *h
	top, r := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(s) {
			break
		}
		if child+1 < len(s) && s[child+1] < s[child] {
			child++
		}
		if s[child] >= r {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = r
	return top
}

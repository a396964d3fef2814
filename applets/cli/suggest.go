package cli

// nearest returns the candidate that word was most likely meant to be, or "".
// Ties go to the first candidate.
func nearest(word string, candidates []string) string {
	best, limit := "", min(len(word)/3+1, 3)
	for _, c := range candidates {
		if d := distance(word, c); d < limit || d == limit && best == "" {
			best, limit = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their
// neighbour that turn a into b. Words of very different length are just far apart.
func distance(a, b string) int {
	const far = 1000
	if len(a)-len(b) > 3 || len(b)-len(a) > 3 {
		return far
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

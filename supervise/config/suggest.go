package config

import "strings"

// Nearest returns the candidate that word was most likely meant to be, or "".
// Letter case does not count, and "-" is as good as "_"; ties go to the first
// candidate.
func Nearest(word string, candidates []string) string {
	plain := strings.ReplaceAll(strings.ToLower(word), "-", "_")
	best, bestCost := "", min(max(len(plain)/3, 1), 3) // of three letters one may be wrong
	for _, c := range candidates {
		target := strings.ReplaceAll(strings.ToLower(c), "-", "_")
		if plain == target {
			return c
		}
		cost := distance(plain, target)
		// An unfinished word (stat for status, restart_delay for restart_delay_ms) and
		// one with a superfluous last part are close, however long that is.
		switch {
		case len(plain) > 2 && strings.HasPrefix(target, plain):
			cost = 0
		case strings.HasPrefix(plain, target+"_"), len(target) > 5 && strings.HasPrefix(plain, target):
			cost = 1
		}
		if cost < bestCost || cost == bestCost && best == "" {
			best, bestCost = c, cost
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour to turn a into b. Words that differ much in length, or are
// long, are simply far apart: nothing here costs more than a few hundred steps.
func distance(a, b string) int {
	const far = 1000
	if len(a) > 40 || len(b) > 40 || len(a)-len(b) > 3 || len(b)-len(a) > 3 {
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

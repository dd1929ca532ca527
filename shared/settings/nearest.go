package settings

import (
	"maps"
	"slices"
)

// typoMax is the number of letters that a mistyped name may differ by.
const typoMax = 3

// nearest is the setting whose variable is closest to env, or "" when none is close.
func nearest(env string) string {
	best, distance := "", typoMax+1
	for _, s := range table {
		if d := edits(env, s.Env()); d < distance {
			best, distance = s.Env(), d
		}
	}
	return best
}

// edits is the number of single-letter insertions, deletions and changes that turn a
// into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

package zinit

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A Version is a semantic version, in place of that of a library: the fields and
// methods have the same names. Build does not count in comparisons.
type Version struct {
	Major, Minor, Patch uint64
	Pre                 []string // identifiers of a pre-release
	Build               []string
}

// ParseVersion reads "0.2.14" or "v0.2.14-3-gabc+build".
func ParseVersion(text string) (v Version, err error) {
	rest := strings.TrimPrefix(strings.TrimSpace(text), "v")
	rest, build, built := strings.Cut(rest, "+")
	rest, pre, early := strings.Cut(rest, "-")
	numbers := strings.Split(rest, ".")
	if len(numbers) != 3 || built && build == "" || early && pre == "" {
		return v, fmt.Errorf("%q is not a version: it has three numbers, such as 0.2.14", text)
	}
	for i, to := range []*uint64{&v.Major, &v.Minor, &v.Patch} {
		if *to, err = strconv.ParseUint(numbers[i], 10, 64); err != nil {
			return Version{}, fmt.Errorf("%q is not a version: %s is not a number", text, numbers[i])
		}
	}
	if early {
		v.Pre = strings.Split(pre, ".")
	}
	if built {
		v.Build = strings.Split(build, ".")
	}
	return v, nil
}

// String is the version as ParseVersion reads it.
func (v Version) String() string {
	text := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if len(v.Pre) > 0 {
		text += "-" + strings.Join(v.Pre, ".")
	}
	if len(v.Build) > 0 {
		text += "+" + strings.Join(v.Build, ".")
	}
	return text
}

// Compare is -1, 0 or 1: v is lower than o, the same, or higher.
func (v Version) Compare(o Version) int {
	n := cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor), cmp.Compare(v.Patch, o.Patch))
	switch {
	case n != 0:
		return n
	case len(v.Pre) == 0 || len(o.Pre) == 0:
		// A pre-release is lower than what it precedes.
		return cmp.Compare(len(o.Pre), len(v.Pre))
	}
	for i := range min(len(v.Pre), len(o.Pre)) {
		if n := comparePre(v.Pre[i], o.Pre[i]); n != 0 {
			return n
		}
	}
	return cmp.Compare(len(v.Pre), len(o.Pre))
}

// comparePre compares identifiers: numbers as such, and lower than words.
func comparePre(a, b string) int {
	n, notA := strconv.ParseUint(a, 10, 64)
	m, notB := strconv.ParseUint(b, 10, 64)
	switch {
	case notA == nil && notB == nil:
		return cmp.Compare(n, m)
	case notA == nil:
		return -1
	case notB == nil:
		return 1
	}
	return strings.Compare(a, b)
}

// EQ, NE, LT, LTE, GT and GTE compare versions.
func (v Version) EQ(o Version) bool { return v.Compare(o) == 0 }

// NE reports that the versions differ.
func (v Version) NE(o Version) bool { return v.Compare(o) != 0 }

// LT reports that v is lower than o.
func (v Version) LT(o Version) bool { return v.Compare(o) < 0 }

// LTE reports that v is not higher than o.
func (v Version) LTE(o Version) bool { return v.Compare(o) <= 0 }

// GT reports that v is higher than o.
func (v Version) GT(o Version) bool { return v.Compare(o) > 0 }

// GTE reports that v is not lower than o.
func (v Version) GTE(o Version) bool { return v.Compare(o) >= 0 }

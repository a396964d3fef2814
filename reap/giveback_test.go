package reap

import (
	"slices"
	"strings"
	"testing"
)

// TestOnlyCleanPagesAreGivenBack: in a position-independent program the loader
// writes to constants and then protects them. They look like those of the file
// and are not.
func TestOnlyCleanPagesAreGivenBack(t *testing.T) {
	const smaps = `00400000-00786000 r-xp 00000000 fe:00 1 /bin/zinit
Rss:                2712 kB
Anonymous:             0 kB
00786000-00b32000 r--p 00386000 fe:00 1 /bin/zinit
Anonymous:             0 kB
00b32000-00b40000 r--p 00732000 fe:00 1 /bin/zinit
Anonymous:            56 kB
00b40000-00b81000 rw-p 00740000 fe:00 1 /bin/zinit
Anonymous:             0 kB
00c00000-00c10000 r-xp 00000000 fe:00 1 /bin/zinit-other
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x786000}, {0x786000, 0xb32000}}
	if got := cleanMappings(strings.NewReader(smaps), "/bin/zinit"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

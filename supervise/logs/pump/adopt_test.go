package pump

import (
	"strings"
	"testing"
)

// A store may be opened, read and written before its owner has said how much it
// keeps: nothing of what an earlier process left is released by then.
func TestWhatIsFoundIsKeptUntilTheLimitIsKnown(t *testing.T) {
	const most, lines = 32 << 20, 100_000
	tests := []struct {
		name string
		text string
		n    int
	}{
		{"bytes", strings.Repeat("x", 64<<10-1), 400},
		{"intents", "x", 40_000},
		{"some released", strings.Repeat("x", 64<<10-1), 1000},
		{"some intents released", "x", 200_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			st := NewStore(dir, "web")
			st.Limit(most, lines)
			for range test.n {
				st.Append(test.text)
			}
			before, err := st.View()
			if err != nil {
				t.Fatal(err)
			}
			st.Close()
			if released := strings.HasPrefix(test.name, "some"); (before.Freed > 0) != released {
				t.Fatalf("%d bytes are released", before.Freed)
			}
			st = NewStore(dir, "web")
			defer st.Close()
			st.Append("adopted")
			st.Limit(most, lines)
			st.Append("known")
			v, err := st.View()
			if err != nil {
				t.Fatal(err)
			}
			if kept := before.Size - v.Freed; kept < (before.Size-before.Freed)*9/10 {
				t.Errorf("%d bytes are kept of %d", kept, before.Size-before.Freed)
			}
			if segs, _ := v.Segments(v.Freed, v.Size, 0); len(segs) == 0 || segs[0].Stream != Zinit {
				t.Errorf("what is kept begins with %+v", segs[:min(1, len(segs))])
			}
			st.Limit(0, 0)
			for range 3 {
				st.Append("x")
			}
			if v, err = st.View(); err != nil || v.Size-v.Freed > DefaultBytes {
				t.Errorf("limited again, %d bytes are kept, %v", v.Size-v.Freed, err)
			}
			if du := diskUsage(t, dir, "web.log"); du > DefaultBytes+2*pageSize {
				t.Errorf("they take %d bytes", du)
			}
		})
	}
}

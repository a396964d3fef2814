package logs

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"zinit/supervise/logs/pump"
)

// TestFollowersOfRandomStores: however a store came about, and however little of it
// is read at once, followers are told the same lines, once, from everywhere.
func TestFollowersOfRandomStores(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 7))
		log := make([]byte, r.IntN(60))
		for i := range log {
			log[i] = "ab\n\r"[r.IntN(4)]
		}
		var idx []byte
		off := uint64(0)
		for i := range r.IntN(12) {
			off += uint64(r.IntN(8))
			idx = binary.LittleEndian.AppendUint64(idx, off)
			idx = binary.LittleEndian.AppendUint64(idx, uint64(1000+i)<<8|uint64(r.IntN(pump.Streams))|uint64(r.IntN(2)*4))
		}
		l := reopened(t, log, idx)
		tell := func(from int64, q Query, most int64) []Line {
			f := l.Follow("web", from, q)
			defer f.Close()
			f.most = most
			return left(t, f)
		}
		all := tell(0, Query{}, chunk)
		for _, most := range []int64{1, 3, 9, 64} {
			lines := tell(0, Query{}, most)
			if got, want := render(sorted(lines)), render(sorted(all)); got != want {
				t.Errorf("read by %d: %q, want %q", most, got, want)
			}
			resumes(t, l, lines, most)
			resumes(t, l, lines, most+2)
			for n := 1; n < len(all)+2; n++ {
				got, want := tell(Last, Query{Lines: n}, most), all[max(0, len(all)-n):]
				if got, want := render(sorted(got)), render(sorted(want)); got != want {
					t.Errorf("the last %d read by %d: %q, want %q", n, most, got, want)
				}
			}
			if got := tell(Now, Query{}, most); len(got) > 0 {
				t.Errorf("from now on read by %d: %q", most, render(got))
			}
		}
		l.Close()
		if t.Failed() {
			t.Fatalf("seed %d: %q, intents %x", seed, log, idx)
		}
	}
}

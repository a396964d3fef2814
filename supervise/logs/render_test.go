package logs

import (
	"bytes"
	"testing"

	"zinit/supervise/logs/pump"
)

// FuzzRender: whole lines that go as they are look as if each had been taken apart
// and put together again.
func FuzzRender(f *testing.F) {
	f.Add([]byte("one\r\ntwo\nthr"), []byte{3, 4, 0x82, 9, 1, 7})
	f.Add([]byte("LLLLLL"), []byte{200, 100, 0x41})
	f.Add([]byte("LLLLxxxx\nnext\nL\n"), []byte{255, 0, 255, 1})
	long := bytes.Repeat([]byte("x"), MaxLine/2)
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		text = text[:min(len(text), 200)]
		text = bytes.ReplaceAll(text, []byte("L"), long[:len(long)-min(20, len(cuts))])
		var slow, fast joiner
		var want, got []byte
		for off := 0; off < len(text); {
			seg := pump.Segment{Off: int64(off), Stream: Stdout}
			n := len(text) - off
			if len(cuts) >= 2 {
				// How long, of which stream, and whether a line begins afresh.
				n = min(n, 1+int(cuts[0])*int(cuts[1]>>3)+int(cuts[0]))
				seg.Stream, seg.Fresh = Stream(cuts[1]&3), cuts[1]&4 != 0
				cuts = cuts[2:]
			}
			n = min(n, chunk)
			seg.End = seg.Off + int64(n)
			b := text[off : off+n]
			slow.feed(seg, b, func(p piece) { want = format(want, p) })
			got = fast.render(got, seg, b)
			off += n
		}
		for s := range slow.pend {
			if a, b := slow.pend[s], fast.pend[s]; !bytes.Equal(a.text, b.text) || len(a.text) > 0 && a.off != b.off {
				t.Errorf("of %s, %q at %d is begun, want %q at %d", Stream(s), b.text, b.off, a.text, a.off)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%.300q is %.300q, want %.300q", text, got, want)
		}
	})
}

package logs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zinit/supervise/logs/pump"
)

// stored makes a store of raw bytes and intents, as an earlier server left them.
func stored(t testing.TB, log, idx []byte) *pump.Store {
	t.Helper()
	dir := t.TempDir()
	for ext, b := range map[string][]byte{".log": log, ".idx": idx} {
		if err := os.WriteFile(filepath.Join(dir, "web"+ext), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st := pump.NewStore(dir, "web")
	t.Cleanup(st.Close)
	return st
}

// script makes a store of "o:text" (stdout), "e:text" (stderr), "z:text" (our own),
// "s:text" (system log) pieces; a capital letter begins a line afresh.
func script(t testing.TB, pieces ...string) *pump.Store {
	var log, idx []byte
	for i, p := range pieces {
		idx = binary.LittleEndian.AppendUint64(idx, uint64(len(log)))
		meta := uint64(1000+i) << 8
		meta |= uint64(strings.Index("oezs", strings.ToLower(p[:1])))
		if strings.ToLower(p[:1]) != p[:1] {
			meta |= 4
		}
		idx = binary.LittleEndian.AppendUint64(idx, meta)
		log = append(log, p[2:]...)
	}
	return stored(t, log, idx)
}

func TestLinesAreDerivedFromBytesAndIntents(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	tests := []struct {
		name   string
		pieces []string
		n      int
		want   string
	}{
		{"nothing", nil, 9, ""},
		{"one", []string{"o:one\n"}, 9, "[stdout] one"},
		{"two of three", []string{"o:one\ntwo\n", "e:three\n"}, 2, "[stdout] two|[stderr] three"},
		{"crlf", []string{"o:one\r\ntwo\rthree\n\r\n\n"}, 9, "[stdout] one|[stdout] two\rthree|[stdout] |[stdout] "},
		{"interleaved", []string{"o:on", "e:err", "o:e\n", "e:or\n"}, 9, "[stdout] one|[stderr] error"},
		{"order of beginnings", []string{"o:first", "e:second\n", "o: ends late\n"}, 9,
			"[stdout] first ends late|[stderr] second"},
		{"unterminated", []string{"o:one\ntw", "o:o"}, 9, "[stdout] one|[stdout] two"},
		{"end of a run", []string{"O:one", "O:two\n"}, 9, "[stdout] one|[stdout] two"},
		{"own line in between", []string{"o:on", "Z:note\n", "o:e\n"}, 9, "[stdout] one|[zinit] note"},
		{"bytes are kept", []string{"o:a\x00b\xff\x1b[31m\n"}, 9, "[stdout] a\x00b\xff\x1b[31m"},
		{"just not too long", []string{"o:" + long + "\nb\n"}, 9, "[stdout] " + long + "|[stdout] b"},
		{"cut", []string{"o:" + long + "y\nb\n"}, 9, "[stdout] " + long + " CUT|[stdout] y|[stdout] b"},
		{"cut over intents", []string{"o:" + long[1:], "e:e\n", "o:xy\n"}, 9,
			"[stdout] " + long + " CUT|[stderr] e|[stdout] y"},
		{"none asked for", []string{"o:one\n"}, 0, ""},
		{"less than none", []string{"o:one\n"}, -1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := script(t, test.pieces...)
			for _, size := range []int64{1, 3, chunk} {
				lines, err := tailBy(st, test.n, size)
				if err != nil {
					t.Fatal(err)
				}
				if got := render(lines); got != test.want {
					t.Errorf("read by %d: %.200q, want %.200q", size, got, test.want)
				}
			}
		})
	}
}

func TestTimeIsThatOfTheFirstByte(t *testing.T) {
	lines, err := tail(script(t, "o:on", "e:two\n", "o:e\nthree\n"), 9)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, l := range lines {
		got = append(got, l.Time.UnixMilli())
	}
	if fmt.Sprint(got) != "[1000 1001 1002]" {
		t.Errorf("times are %d", got)
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\x00\xff"), []byte{}, 2)
	f.Add([]byte("on\nerre\nor\n"), bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0}, 3), 1)
	f.Add(bytes.Repeat([]byte("x"), 3*MaxLine), []byte{7}, 1)
	f.Add([]byte("ab\ncd\nef\ngh\nij\nkl\n"), binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 4), 0x106), 3)
	f.Fuzz(func(t *testing.T, log, idx []byte, n int) {
		dir := t.TempDir()
		os.WriteFile(filepath.Join(dir, "web.log"), log, 0o600)
		os.WriteFile(filepath.Join(dir, "web.idx"), idx, 0o600)
		st := pump.NewStore(dir, "web")
		defer st.Close()
		v, err := st.View()
		if err != nil {
			t.Fatal(err)
		}
		// Sparse files are not made here, but a page of zeros may look like one.
		segs, _ := v.Segments(v.Freed, v.Size, 0)
		at := v.Freed
		var want, got [pump.Streams][]byte
		var j joiner
		emit := func(p piece) {
			if len(p.text) > MaxLine {
				t.Errorf("a piece has %d bytes", len(p.text))
			}
			got[p.stream] = append(got[p.stream], p.text...)
			if p.end == newline {
				got[p.stream] = append(got[p.stream], '\n')
			}
		}
		for _, s := range segs {
			if s.Off != at || s.End <= s.Off || s.Stream >= pump.Streams {
				t.Fatalf("segment %+v after offset %d", s, at)
			}
			at = s.End
			want[s.Stream] = append(want[s.Stream], log[s.Off:s.End]...)
			j.feed(s, log[s.Off:s.End], emit)
		}
		if at != v.Size {
			t.Fatalf("segments end at %d of %d", at, v.Size)
		}
		for s := range Stream(pump.Streams) {
			j.breakOff(s, emit)
			if !bytes.Equal(got[s], want[s]) {
				t.Errorf("%s: lines make %q, want %q", s, got[s], want[s])
			}
		}
		all, err := tail(st, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		n = min(max(n, 0), 100)
		some, err := tailBy(st, n, 2)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := render(all[max(0, len(all)-n):]), render(some); a != b && len(log) < MaxLine {
			t.Errorf("the last %d lines are %q, of all lines %q", n, b, a)
		}
	})
}

// TestTailIsBounded: however long the lines of a large store are, one request reads
// no more than its bound, and the first line says that its beginning is missing.
func TestTailIsBounded(t *testing.T) {
	long := strings.Repeat("x", MaxLine-1)
	st := script(t, "O:"+strings.Repeat(long+"\n", maxTail/MaxLine+100)+"last\n")
	st.Limit(64<<20, 1<<20)
	lines, err := tail(st, 1000)
	if err != nil || len(lines) == 0 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	size := 0
	for i, l := range lines {
		size += len(l.Text) + 1
		if l.Cut != (i == 0) {
			t.Errorf("line %d of %d bytes: cut is %v", i, len(l.Text), l.Cut)
		}
	}
	if size != maxTail || string(lines[len(lines)-1].Text) != "last" {
		t.Errorf("%d bytes, the last line is %q", size, lines[len(lines)-1].Text)
	}
	if lines, err = tail(st, 2); err != nil || len(lines) != 2 || lines[0].Cut || len(lines[0].Text) != len(long) {
		t.Errorf("two lines: %d, %v", len(lines), err)
	}
}

// FuzzFollow: whatever an earlier server left, and wherever a follower begins, all
// is told, and following at each cursor goes on as the one who got it did.
func FuzzFollow(f *testing.F) {
	f.Add([]byte("on\nerre\nor\n"), []byte{0, 0, 2, 1, 3, 0, 3, 5}, int64(3), uint16(2))
	f.Add(bytes.Repeat([]byte("x"), 3*MaxLine), []byte{}, int64(MaxLine), uint16(1<<15))
	f.Add([]byte("one\ntwo threfour\nmore\n"), []byte{0, 4, 4, 5, 4, 0, 4, 6, 4, 4}, int64(1<<toldShift|8), uint16(5))
	f.Add([]byte("halfone\ntornword"), []byte{0, 7, 4, 0, 4, 6, 4, 4}, int64(8), uint16(2))
	f.Fuzz(func(t *testing.T, log, turns []byte, cursor int64, most uint16) {
		var idx []byte
		off := uint64(0)
		for i := 0; i+1 < len(turns); i += 2 { // how many bytes later, and whose turn it is
			off += uint64(turns[i])
			idx = binary.LittleEndian.AppendUint64(idx, off)
			idx = binary.LittleEndian.AppendUint64(idx, uint64(1000+i)<<8|uint64(turns[i+1]))
		}
		garbage := reopened(t, log, turns)
		left(t, follow(t, garbage, cursor, Query{}))
		garbage.Close()

		l := reopened(t, log, idx)
		defer l.Close()
		all := left(t, follow(t, l, 0, Query{}))
		size := 0
		for i, line := range all {
			if size += len(line.Text); line.Partial || len(line.Text) > MaxLine {
				t.Errorf("line %d has %d bytes, partial: %v", i, len(line.Text), line.Partial)
			}
		}
		if size > len(log) {
			t.Errorf("%d bytes are told of %d", size, len(log))
		}
		if tail := left(t, follow(t, l, Last, Query{Lines: 3})); len(log) < chunk && render(tail) != render(all[max(0, len(all)-3):]) {
			t.Errorf("the last three are %.300q of %.300q", render(tail), render(all))
		}
		left(t, follow(t, l, cursor, Query{}))
		piecemeal := follow(t, l, 0, Query{})
		piecemeal.most = max(int64(most), int64(len(log)/100)) + 1
		lines := left(t, piecemeal)
		if got, want := render(sorted(lines)), render(sorted(all)); got != want {
			t.Errorf("read by %d: %.300q, want %.300q", piecemeal.most, got, want)
		}
		if len(lines) < 40 {
			resumes(t, l, lines, piecemeal.most)
		}
	})
}

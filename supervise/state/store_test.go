package state

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func open(t *testing.T, path string) (*Store, Report) {
	t.Helper()
	s, report, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, report
}

func put(t *testing.T, s *Store, key, value string) {
	t.Helper()
	if err := s.Put(key, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
}

func contents(s *Store) map[string]string {
	m := map[string]string{}
	s.Records(func(key string, value []byte) { m[key] = string(value) })
	return m
}

func TestWhatWasCommittedIsThereForTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, report := open(t, path)
	if report != (Report{}) {
		t.Errorf("a new store reports %+v", report)
	}
	put(t, s, "web", "one")
	put(t, s, "db", "")
	put(t, s, "gone", "x")
	commit(t, s)
	put(t, s, "web", "two")
	s.Delete("gone")
	s.Delete("never")
	commit(t, s)
	put(t, s, "lost", "was not committed")

	next, report := open(t, path)
	if report.Damaged() || report.Records != 5 {
		t.Errorf("reported %+v", report)
	}
	want := map[string]string{"web": "two", "db": ""}
	if got := contents(next); !maps.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTheFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, _ := open(t, path)
	for i := range 20000 {
		put(t, s, fmt.Sprintf("s%d", i%10), fmt.Sprintf("state %d of a service that changes it often", i))
		commit(t, s)
		if info, err := os.Stat(path); i%500 == 0 && (err != nil || info.Size() > 2*slack) {
			t.Fatalf("after %d changes: %d bytes, %v", i, info.Size(), err)
		}
	}
	next, report := open(t, path)
	if report.Damaged() || !maps.Equal(contents(s), contents(next)) {
		t.Errorf("reported %+v, found %v", report, contents(next))
	}
}

// written makes a file of several commits and returns its text, and what the store
// held after each number of bytes that a commit left.
func written(t *testing.T) (text []byte, after map[int]map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	s, _ := open(t, path)
	after = map[int]map[string]string{len(magic): {}}
	for i := range 12 {
		put(t, s, fmt.Sprintf("s%d", i%5), fmt.Sprintf("value %d", i))
		if i%4 == 3 {
			s.Delete(fmt.Sprintf("s%d", (i+1)%5))
		}
		commit(t, s)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		after[len(text)] = contents(s)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text, after
}

func TestAFileCutAnywhereHoldsWhatWasWhole(t *testing.T) {
	text, after := written(t)
	for cut := range len(text) + 1 {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, report := open(t, path)
		want, whole := after[cut]
		if whole && (!maps.Equal(contents(s), want) || report.Damaged()) {
			t.Errorf("cut after %d: %v, want %v; %+v", cut, contents(s), want, report)
		}
		// As a kill in the middle of a write does; that is no damage.
		if cut >= len(magic) && (report.Damaged() || whole && report.Torn > 0) {
			t.Errorf("cut after %d: %+v", cut, report)
		}
		put(t, s, "next", "works")
		commit(t, s)
		if again, report := open(t, path); report.Damaged() || !maps.Equal(contents(again), contents(s)) {
			t.Errorf("cut after %d, then used: %+v, %v", cut, report, contents(again))
		}
	}
}

func TestAFlippedByteCostsOneRecordAndIsReported(t *testing.T) {
	text, after := written(t)
	sound := after[len(text)]
	values := map[string]bool{}
	for _, state := range after {
		for key, value := range state {
			values[key+"="+value] = true
		}
	}
	for at := range text {
		for _, bit := range []byte{1, 0x80} {
			broken := bytes.Clone(text)
			broken[at] ^= bit
			path := filepath.Join(t.TempDir(), "state")
			if err := os.WriteFile(path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			s, report := open(t, path)
			if !report.Damaged() && report.Torn == 0 {
				t.Errorf("byte %d flipped: not reported", at)
			}
			for key, value := range contents(s) {
				if !values[key+"="+value] {
					t.Errorf("byte %d flipped: %s is %q, which was never written", at, key, value)
				}
			}
			if missing := len(sound) - len(contents(s)); missing > 1 {
				t.Errorf("byte %d flipped: %d records are missing", at, missing)
			}
		}
	}
}

func TestWhatIsNoStoreIsReplaced(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "text": "hello", "zeros": string(make([]byte, 4096)), "marks": string(bytes.Repeat(mark[:], 500)),
	} {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, report := open(t, path)
		if len(contents(s)) != 0 || report.Foreign != (name != "empty") {
			t.Errorf("%s: %+v, %v", name, report, contents(s))
		}
		put(t, s, "a", "b")
		commit(t, s)
		if again, report := open(t, path); report.Damaged() || again.Get("a") == nil {
			t.Errorf("%s, replaced: %+v", name, report)
		}
	}
}

// What is deleted, moved away or replaced under a store is written anew as a whole,
// as soon as there is room for it again, also when nothing has changed.
func TestALostFileIsWrittenAnew(t *testing.T) {
	for name, lose := range map[string]func(dir, path string) error{
		"deleted":       func(_, path string) error { return os.Remove(path) },
		"moved":         func(_, path string) error { return os.Rename(path, path+".old") },
		"replaced":      func(_, path string) error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) },
		"its directory": func(dir, _ string) error { return os.Rename(dir, dir+".old") },
	} {
		dir := filepath.Join(t.TempDir(), "run")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "state")
		s, _ := open(t, path)
		put(t, s, "a", "1")
		commit(t, s)
		put(t, s, "b", "2")
		if err := lose(dir, path); err != nil {
			t.Fatal(err)
		}
		if name == "its directory" {
			if err := s.Commit(); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: commit: %v", name, err)
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		commit(t, s)
		want := map[string]string{"a": "1", "b": "2"}
		if next, report := open(t, path); report.Damaged() || !maps.Equal(contents(next), want) {
			t.Errorf("%s: found %v, %+v", name, contents(next), report)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		commit(t, s) // nothing has changed
		if next, report := open(t, path); report.Damaged() || !maps.Equal(contents(next), want) {
			t.Errorf("%s, and again: found %v, %+v", name, contents(next), report)
		}
	}
}

func TestAFailedCommitIsMadeGoodByTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, _ := open(t, path)
	put(t, s, "a", "1")
	commit(t, s)
	full := true
	renew := s.renew
	s.renew = func() (*os.File, error) {
		if full {
			return nil, syscall.ENOSPC
		}
		return renew()
	}
	s.f.Close()
	s.f, _ = os.Open(path) // a write now fails, as one on a full disk does
	put(t, s, "a", "2")
	if err := s.Commit(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("commit: %v", err)
	}
	put(t, s, "b", "3")
	full = false
	commit(t, s)
	next, report := open(t, path)
	if want := map[string]string{"a": "2", "b": "3"}; report.Damaged() || !maps.Equal(contents(next), want) {
		t.Errorf("found %v, %+v", contents(next), report)
	}
}

func TestAStoreWithoutANameMovesWithItsFile(t *testing.T) {
	var held *os.File
	settled := 0
	renew := func() (*os.File, error) { return os.CreateTemp(t.TempDir(), "") }
	settle := func(f *os.File) error {
		fd, err := syscall.Dup(int(f.Fd()))
		held = os.NewFile(uintptr(fd), "held")
		settled++
		return err
	}
	s, _, err := Over(nil, renew, settle)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		put(t, s, "a", fmt.Sprintf("the state number %d, long enough to fill a file", i))
		commit(t, s)
	}
	if settled < 2 {
		t.Errorf("moved %d times", settled)
	}
	next, report, err := Over(held, renew, settle)
	if err != nil || report.Damaged() || !maps.Equal(contents(next), contents(s)) {
		t.Errorf("the next one has %v, %+v, %v", contents(next), report, err)
	}
}

func TestWhatIsTooLongIsRefused(t *testing.T) {
	s, _ := open(t, filepath.Join(t.TempDir(), "state"))
	put(t, s, "a", "1")
	if err := s.Put("a", make([]byte, MaxValue+1)); err == nil {
		t.Error("a long value was taken")
	}
	if err := s.Put(string(make([]byte, MaxKey+1)), nil); err == nil {
		t.Error("a long key was taken")
	}
	if got := string(s.Get("a")); got != "1" {
		t.Errorf("a is %q", got)
	}
}

func FuzzParse(f *testing.F) {
	sums := table()
	text := appendRecord(bytes.Clone(magic), sums, 1, "web", []byte("running"))
	f.Add(text)
	f.Add(appendRecord(text, sums, 2, "web", nil))
	f.Add(append(text, mark[:]...))
	f.Fuzz(func(t *testing.T, text []byte) {
		total := 0
		_, report := parse(text, func(r record) {
			total += r.size
			if got := appendRecord(nil, sums, r.number, string(r.key), r.value); !bytes.Contains(text, got) {
				t.Errorf("a record that is not there: %q", got)
			}
		})
		if total+report.Skipped > len(text) {
			t.Errorf("%d bytes of records and %d skipped in %d", total, report.Skipped, len(text))
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _, err := Open(filepath.Join(b.TempDir(), "state"))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			value := make([]byte, 200)
			for i := range value {
				value[i] = byte(rand.N(256))
			}
			keys := make([]string, 1000)
			for i := range keys {
				keys[i] = fmt.Sprintf("service-%04d", i)
			}
			for i := 0; b.Loop(); i++ {
				for j := range n {
					value[0], value[1] = byte(i), byte(i>>8)
					if err := s.Put(keys[(i*n+j)%1000], value); err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Commit(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

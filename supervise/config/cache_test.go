package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// settle makes a file as old as what is settled.
func settle(t *testing.T, path string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(settled / 5)
	defer tick.Stop()
	for {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := identify(st); !ok || time.Since(time.Unix(0, max(id.Changed, id.Wrote))) > settled {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s is never settled", path)
		}
	}
}

func TestTheCacheHasServicesAsTheirFilesHaveThem(t *testing.T) {
	dir := t.TempDir()
	last := ""
	for name, text := range sources(t, "good") {
		last = filepath.Join(dir, name)
		writeFile(t, last, string(text))
	}
	// What is given and 0, or empty, is not what is not given.
	for i, line := range []string{"umask = \"0\"", "nice = 0", "oom_score_adj = 0", "capabilities = []", "inherit_env = false"} {
		last = filepath.Join(dir, fmt.Sprintf("zero-%d.toml", i))
		writeFile(t, last, fmt.Sprintf("[service]\nname = \"zero-%d\"\nexec = \"/bin/a\"\n%s\n", i, line))
	}
	settle(t, last)
	fresh, err := LoadDirs(Dirs{User: dir})
	if err != nil || len(fresh.Problems) > 0 {
		t.Fatal(err, fresh.Problems)
	}
	cache := NewCache()
	for _, load := range []string{"read", "found"} {
		set, err := LoadDirs(Dirs{User: dir, Cache: cache})
		if err != nil || !reflect.DeepEqual(set.Services, fresh.Services) {
			t.Errorf("%s: other services than without a cache (%v)", load, err)
		}
		for _, s := range set.Services {
			if f := cache.files[s.Source]; f.Service != s || !f.packed {
				t.Errorf("%s: %s is there twice, or as it was read", load, s.Source)
			}
		}
	}
	text := cache.Encode("me")
	decoded, err := DecodeCache(text, "me")
	if err != nil {
		t.Fatal(err)
	}
	if len(decoded.files) != len(fresh.Services) {
		t.Errorf("%d files are kept, of %d", len(decoded.files), len(fresh.Services))
	}
	for _, want := range fresh.Services {
		got := decoded.files[want.Source].Service
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", want.Source, got, want)
		}
	}
	if c, err := DecodeCache(text, "another"); err == nil || c == nil || len(c.files) > 0 {
		t.Errorf("that of another program: %v", err)
	}
	text[len(text)/2] ^= 1
	if c, err := DecodeCache(text, "me"); err == nil || c == nil || len(c.files) > 0 {
		t.Errorf("a damaged one: %v", err)
	}
}

// A file that is gone is forgotten when all are loaded, and only then: what is written
// again, because it was lost, is everything.
func TestTheCacheForgetsFilesThatAreGone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		writeFile(t, filepath.Join(dir, name+".toml"), serviceText(name))
	}
	settle(t, filepath.Join(dir, "b.toml"))
	cache := NewCache()
	load := func() {
		t.Helper()
		if _, err := LoadDirs(Dirs{User: dir, Cache: cache}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(when string, want int) {
		t.Helper()
		cache.Lost()
		text := cache.Encode("me")
		if text == nil {
			t.Fatalf("%s: nothing is written", when)
		}
		if c, err := DecodeCache(text, "me"); err != nil || len(c.files) != want {
			t.Errorf("%s: %d files are written, want %d (%v)", when, len(c.files), want, err)
		}
	}
	load()
	holds("after a load", 2)
	holds("written again", 2)
	if err := os.Remove(filepath.Join(dir, "a.toml")); err != nil {
		t.Fatal(err)
	}
	holds("before the next load", 2)
	load()
	holds("after it", 1)
}

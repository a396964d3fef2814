package stamps

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAStampOutlivesTheServer(t *testing.T) {
	home := t.TempDir()
	getenv := func(key string) string { return map[string]string{"HOME": home}[key] }
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	s := New("/etc/zinit/services", 1000, getenv, slog.New(slog.DiscardHandler))
	if last := s.Last("web"); !last.IsZero() {
		t.Errorf("before the first start: %s", last)
	}
	if err := s.write("web", at); err != nil {
		t.Fatal(err)
	}
	if last := New("/etc/zinit/services", 1000, getenv, s.log).Last("web"); !last.Equal(at) {
		t.Errorf("started at %s, want %s", last, at)
	}
	if last := New("/etc/other", 1000, getenv, s.log).Last("web"); !last.IsZero() {
		t.Errorf("of another configuration: %s", last)
	}
	if !strings.HasPrefix(s.dir, filepath.Join(home, ".local/state/zinit/timers")) {
		t.Errorf("in %s", s.dir)
	}
}

func TestWithoutAHomeNothingIsRemembered(t *testing.T) {
	s := New("/x", 1000, func(string) string { return "" }, slog.New(slog.DiscardHandler))
	s.Started("web", time.Now())
	if !s.Last("web").IsZero() {
		t.Error("something is remembered")
	}
}

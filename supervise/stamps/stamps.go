package stamps

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Stamps remember over a reboot when a persistent timer last started its service: by
// the time of an empty file for each, in a directory for each configuration. They are
// safe for concurrent use.
type Stamps struct {
	dir string // empty: nothing is remembered
	log *slog.Logger
}

// New are those of a configuration directory, for the user uid (0: the system's). Where
// they lie is the same after a reboot: not in the runtime directory. A user without a
// home has none, and nothing is remembered.
func New(configDir string, uid int, getenv func(string) string, log *slog.Logger) Stamps {
	base := "/var/lib/zinit"
	if uid != 0 {
		base = getenv("XDG_STATE_HOME")
		if base == "" {
			if home := getenv("HOME"); home != "" {
				base = filepath.Join(home, ".local/state")
			}
		}
		if base == "" {
			return Stamps{log: log}
		}
		base = filepath.Join(base, "zinit")
	}
	if abs, err := filepath.Abs(configDir); err == nil {
		configDir = abs
	}
	return Stamps{filepath.Join(base, "timers", url.PathEscape(configDir)), log}
}

// Last is when the timer of a service last started it; zero: never, or nobody knows.
func (s Stamps) Last(service string) time.Time {
	if s.dir == "" {
		return time.Time{}
	}
	st, err := os.Stat(filepath.Join(s.dir, service))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("when its timer last started it is not known", "service", service, "error", err)
		}
		return time.Time{}
	}
	return st.ModTime()
}

// Started remembers a start. It does not block: the disk is waited for by a goroutine.
func (s Stamps) Started(service string, at time.Time) {
	if s.dir == "" {
		return
	}
	go func() {
		if err := s.write(service, at); err != nil {
			s.log.Warn("a missed start will not be made up for after a reboot", "service", service, "error", err)
		}
	}()
}

func (s Stamps) write(service string, at time.Time) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(s.dir, service)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Chtimes(path, at, at)
}

package server

import (
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// stamps remember over a reboot when a persistent timer last started its service: by
// the time of an empty file for each, in a directory for each configuration.
type stamps struct {
	dir string // empty: nothing is remembered
	log *slog.Logger
}

// newStamps are those of a configuration directory. Where they lie is the same after
// a reboot: not in the runtime directory.
func newStamps(configDir string, uid int, getenv func(string) string, log *slog.Logger) stamps {
	base := "/var/lib/zinit"
	if uid != 0 {
		base = getenv("XDG_STATE_HOME")
		if base == "" {
			if home := getenv("HOME"); home != "" {
				base = filepath.Join(home, ".local/state")
			}
		}
		if base == "" {
			return stamps{log: log}
		}
		base = filepath.Join(base, "zinit")
	}
	if abs, err := filepath.Abs(configDir); err == nil {
		configDir = abs
	}
	return stamps{filepath.Join(base, "timers", url.PathEscape(configDir)), log}
}

// Last implements supervise.Stamper.
func (s stamps) Last(service string) time.Time {
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

// Started implements supervise.Stamper. The disk is waited for by a goroutine.
func (s stamps) Started(service string, at time.Time) {
	if s.dir == "" {
		return
	}
	go func() {
		if err := s.write(service, at); err != nil {
			s.log.Warn("a missed start will not be made up for after a reboot", "service", service, "error", err)
		}
	}()
}

func (s stamps) write(service string, at time.Time) error {
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

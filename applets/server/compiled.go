package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"zinit/applets/env"
	"zinit/supervise/config"
)

// compiledName is where the runtime directory has what the files of the
// configuration gave, so that a server that takes over answers before it has read
// any that has not changed.
const compiledName = "config"

// compiler names this program: another one may understand files otherwise. It is
// empty when that cannot be told.
func compiler() string {
	st, err := os.Stat("/proc/self/exe")
	if err != nil {
		return ""
	}
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s %d %d %d %d", env.Version, s.Dev, s.Ino, s.Size, st.ModTime().UnixNano())
}

// leftPlace is the place of a server that has written such a file, which its heir can
// read before it knows anything else; nil: there is none, or it is not ours.
func leftPlace(socket string) *place {
	if _, err := os.Lstat(filepath.Join(env.RuntimeDir(socket), compiledName)); err != nil {
		return nil
	}
	p, err := openPlace(socket, false)
	if err != nil || p.dir == "" {
		return nil // what is wrong shows when it is opened as usual
	}
	return p
}

// openCompiled reads what the last server wrote. It is only a way to be quick:
// whatever is wrong with it, the files are read.
func openCompiled(p *place, log *slog.Logger) *config.Cache {
	maker := compiler()
	if p.dir == "" || maker == "" {
		return config.NewCache()
	}
	text, err := os.ReadFile(filepath.Join(p.dir, compiledName))
	if errors.Is(err, fs.ErrNotExist) {
		return config.NewCache()
	}
	var cache *config.Cache
	if err == nil {
		cache, err = config.DecodeCache(text, maker)
	}
	if err != nil {
		log.Debug("reading all files", "error", err)
	}
	if cache == nil {
		cache = config.NewCache()
	}
	return cache
}

// saveCompiled writes what files gave for the next server, if it has changed since.
func (s *server) saveCompiled() {
	err := s.exclusively(context.Background(), func() error {
		maker := compiler()
		if s.over || s.at.dir == "" || maker == "" {
			return nil
		}
		text := s.dirs.Cache.Encode(maker)
		if text == nil {
			return nil
		}
		path := filepath.Join(s.at.dir, compiledName)
		if err := os.WriteFile(path+".new", text, 0o600); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	})
	if err != nil {
		s.log.Debug("the compiled configuration is not written", "error", err)
	}
}

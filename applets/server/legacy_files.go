package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zinit/sock/legacy"
	"zinit/supervise/config"
)

// Monitor takes in the file of a service, as it is now, and wants it up.
func (s legacyServer) Monitor(ctx context.Context, name string) error {
	return s.exclusively(ctx, func() error {
		snap := s.sup.Snapshot()
		switch {
		case legacyView(snap, name) != nil:
			return legacy.AlreadyMonitored(name)
		case snap.Draining:
			return legacy.ErrShuttingDown
		}
		svc := s.findFile(name)
		if svc == nil {
			return legacy.ErrConfig
		}
		s.remember(name)
		if _, err := s.sup.Put(svc, false); err != nil {
			return legacyError(name, err)
		}
		s.monitored[name] = svc
		s.log.Info("service monitored", "service", name, "file", svc.Source)
		return nil
	})
}

// findFile loads the file that describes a service; nil when there is none that is
// good.
func (s *server) findFile(name string) *config.Service {
	if config.CheckName(name) != nil {
		return nil // above all one that leads elsewhere
	}
	paths := []string{filepath.Join(s.dirs.User, name+".yaml"), filepath.Join(s.dirs.User, name+".toml")}
	if s.dirs.Legacy != "" {
		paths = append(paths, filepath.Join(s.dirs.Legacy, name+".yaml"))
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		svc, problems := s.dirs.DefaultsIn(filepath.Dir(path)).LoadFile(path)
		for _, p := range problems {
			s.log.Warn(p.String())
		}
		if svc != nil && svc.Name != name {
			s.log.Warn(path + ": it describes " + svc.Name + ": monitor that")
			return nil
		}
		return svc
	}
	return nil
}

// Forget drops a service that was stopped. Its file stays, and is not read again
// before somebody monitors it, or the next boot.
func (s legacyServer) Forget(ctx context.Context, name string) error {
	err := s.exclusively(ctx, func() error {
		v := legacyView(s.sup.Snapshot(), name)
		switch {
		case v == nil:
			return legacy.Unknown(name)
		case v.Want && !v.ToldDown, pidOf(v) != 0:
			return legacy.IsUp(name)
		}
		if _, err := s.sup.Delete(name, false, false); err != nil {
			return legacyError(name, err)
		}
		delete(s.monitored, name)
		s.forgetful(name)
		s.log.Info("service forgotten", "service", name)
		return nil
	})
	if err == nil {
		s.awaitGone(ctx, name)
	}
	return err
}

// forgottenName is the file that says which services were forgotten although they
// have a file: a line each.
const forgottenName = "forgotten"

// forgetful notes that a service is not to be loaded.
func (s *server) forgetful(name string) {
	if !slices.Contains(s.forgotten, name) {
		s.forgotten = append(s.forgotten, name)
		s.saveForgotten()
	}
}

// remember undoes forgetful.
func (s *server) remember(name string) {
	if i := slices.Index(s.forgotten, name); i >= 0 {
		s.forgotten = slices.Delete(s.forgotten, i, i+1)
		s.saveForgotten()
	}
}

func (s *server) saveForgotten() {
	if s.at.dir == "" {
		return
	}
	path := filepath.Join(s.at.dir, forgottenName)
	err := os.WriteFile(path+".new", []byte(strings.Join(s.forgotten, "\n")), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		s.log.Warn("what was forgotten comes back with the next server", "error", err)
	}
}

// readForgotten is what the last server wrote; a file that is not there says nothing.
func readForgotten(p *place) []string {
	if p.dir == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(p.dir, forgottenName))
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
}

// recall makes of a configuration that was read the one that counts: without what was
// forgotten, and with what is monitored through a link that leads nowhere any more.
func (s *server) recall(set *config.Set) {
	if len(s.forgotten) > 0 {
		set.Services = slices.DeleteFunc(set.Services, func(svc *config.Service) bool { return slices.Contains(s.forgotten, svc.Name) })
		set.Problems = slices.DeleteFunc(set.Problems, func(p config.Problem) bool { return slices.Contains(s.forgotten, p.Service) })
	}
	for name, svc := range s.monitored {
		is := func(o *config.Service) bool { return o.Name == name }
		failed := func(p config.Problem) bool { return p.Service == name && p.Severity == config.Error }
		if _, err := os.Lstat(svc.Source); err == nil && !slices.ContainsFunc(set.Services, is) && !slices.ContainsFunc(set.Problems, failed) {
			set.Services = append(set.Services, svc)
		}
	}
}

package server

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// reloads is the methods that read the configuration again.
func (s *server) reloads() sock.Table {
	return sock.Table{
		{Name: sock.MethodReload, Access: sock.Change, Summary: "Reads the configuration again and applies what has changed, as one step.", Result: sock.ReloadResult{}, Waits: true,
			Params: []sock.Param{
				{Name: "name", Type: "string", Summary: "only this service, which is restarted when the change needs that; without it all"},
				{Name: "dry_run", Type: "boolean", Summary: "do nothing, and say what would be done"},
			}, Handle: s.reloadCall},
	}
}

// exclusively runs f, which changes the configuration, while nothing else does. It
// gives up when ctx ends before its turn.
func (s *server) exclusively(ctx context.Context, f func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return f()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) reloadCall(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.ReloadParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	result, err := s.reread(ctx, p)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// hangup is a reload that is asked for by signal; it is called on a goroutine of
// its own.
func (s *server) hangup() {
	s.manager.reloading()
	if _, err := s.reread(context.Background(), sock.ReloadParams{}); err != nil {
		s.log.Error("cannot reload: nothing is changed", "error", err)
	}
	s.manager.ready(len(s.sup.Snapshot().Views))
}

// reread reads the configuration again and applies it. A directory that cannot be
// read changes nothing: it may only be away for a moment, and what runs is worth
// more than the order to look.
func (s *server) reread(ctx context.Context, p sock.ReloadParams) (result sock.ReloadResult, err error) {
	err = s.exclusively(ctx, func() error { // the last one asked for reads last
		s.heap.burst() // its time ends it: what was read is taken in a moment later
		set, err := s.load(!p.DryRun)
		if err != nil {
			return err
		}
		ch, err := s.sup.Reload(supervise.Change{Set: set, Only: p.Name, Restart: p.Name != "", DryRun: p.DryRun})
		if err != nil {
			return refusal(err)
		}
		result = reloadResult(set, ch, p)
		result.Problems = append(result.Problems, keptAsTheyWere(s.sup.Snapshot(), set, p.Name)...)
		if s.proxies != nil && p.Name == "" {
			result.Proxies = append(result.Proxies, s.proxies.plan(set.Proxies)...)
		}
		if s.sockets != nil {
			result.Sockets = append(result.Sockets, s.sockets.plan(set.Services, p.Name, ch.Removed)...)
		}
		if !p.DryRun {
			if s.proxies != nil && p.Name == "" {
				s.proxies.sync(set.Proxies)
			}
			s.provide(p.Name)
			s.log.Info("reloaded", "added", len(ch.Added), "removed", len(ch.Removed), "changed", len(ch.Changed))
			go s.saveCompiled()
		}
		return nil
	})
	return result, err
}

// reloadResult is what a reload does, on the wire.
func reloadResult(set *config.Set, ch supervise.Changes, p sock.ReloadParams) sock.ReloadResult {
	r := sock.ReloadResult{
		Added: ch.Added, Changed: ch.Changed, Removed: ch.Removed, DryRun: p.DryRun,
		Restarted: ch.Restarted, Started: ch.Started, Stopped: ch.Stopped, RestartToApply: ch.RestartToApply,
		ConfigErrors: append([][2]string{}, ch.Missing...),
		Failed:       []sock.NamedText{}, Problems: []string{}, Proxies: []sock.NamedText{}, Sockets: []sock.NamedText{},
	}
	for _, f := range ch.Failed {
		r.Failed = append(r.Failed, sock.NamedText{Name: f.Name, Text: f.Reason})
	}
	if p.Name != "" {
		r.ConfigErrors = slices.DeleteFunc(r.ConfigErrors, func(lack [2]string) bool { return lack[0] != p.Name })
	}
	for _, problem := range set.Problems {
		if p.Name == "" || p.Name == problem.Service {
			r.Problems = append(r.Problems, problem.String())
		}
	}
	return r
}

// keptAsTheyWere says which services have a file that cannot be loaded, and go on with
// what an earlier one said; only is the one that was asked for, empty: all.
func keptAsTheyWere(snap *supervise.Snapshot, set *config.Set, only string) (lines []string) {
	for _, p := range set.Problems {
		v := snap.Find(p.Service)
		if p.Severity != config.Error || v == nil || v.Broken || v.Config.Source != p.File || only != "" && only != p.Service {
			continue
		}
		line := p.Service + ": goes on as it was until its file is mended, and reloaded"
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// firstConfig reads the configuration at the start; its directory is made when it
// does not exist. That it cannot be read is no reason not to run: services can be
// added.
func (s *server) firstConfig() *config.Set {
	if err := os.MkdirAll(s.dirs.User, 0o755); err != nil && !s.flags.Container {
		s.log.Warn("cannot make the configuration directory", "error", err)
	}
	set, err := s.load(true)
	if err == nil {
		return set
	}
	s.log.Error("starting without services: " + err.Error() + ": mend that and reload")
	rest := s.dirs
	rest.User = ""
	if set, _ = config.LoadDirs(rest); set == nil { // those that are left may still be read
		set = &config.Set{}
	}
	s.addCommand(set)
	s.rescue(set)
	set.Problems = append(set.Problems, config.Problem{
		File: s.dirs.User, Severity: config.Error, Message: "is not loaded: " + err.Error() + ": mend that and reload",
	})
	return set
}

// load reads the configuration; with say it logs what is wrong in it.
func (s *server) load(say bool) (*config.Set, error) {
	set, err := config.LoadDirs(s.dirs)
	if s.mayBeWithout(err) {
		rest := s.dirs
		rest.User = ""
		set, err = config.LoadDirs(rest)
	}
	if err != nil {
		return nil, err
	}
	set.Services = append(set.Services, s.withoutFile(set)...)
	s.recall(set)
	s.addCommand(set)
	s.rescue(set)
	if !say {
		return set, nil
	}
	for _, p := range set.Problems {
		level := slog.LevelError
		if p.Severity == config.Warning {
			level = slog.LevelWarn
			p.Severity = config.Error // the level says that it is a warning
		}
		s.log.Log(context.Background(), level, p.String())
	}
	return set, nil
}

// withoutFile is the services that could not be written anywhere, unless a file
// describes one of that name now.
func (s *server) withoutFile(set *config.Set) (more []*config.Service) {
	for _, name := range slices.Sorted(maps.Keys(s.unsaved)) {
		if !slices.ContainsFunc(set.Services, func(svc *config.Service) bool { return svc.Name == name }) {
			more = append(more, s.unsaved[name])
		}
	}
	return more
}

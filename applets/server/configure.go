package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// additions is the methods that take a service in, or another description of it.
func (s *server) additions() sock.Table {
	description := sock.Param{Name: "config", Type: "object", Of: sock.ServiceConfig{}, Lax: true, Summary: "the service, as service.get returns it; when it is not given, the parameters themselves are the description"}
	persist := sock.Param{Name: "persist", Type: "boolean", Summary: "false: keep it out of the configuration directory, so that it is gone after the next boot"}
	row := func(method, summary string, in intake, params ...sock.Param) sock.Method {
		return sock.Method{
			Name: method, Access: sock.Change, Summary: summary, Params: params, Result: sock.SetResult{}, Waits: true,
			Handle: func(ctx context.Context, c *sock.Call) (any, error) { return s.put(ctx, c, in) },
		}
	}
	exact := sock.Param{Name: "exact", Type: "boolean", Summary: "true: what the description leaves out has its default; otherwise one without any key that zinit 0.3.9 does not have leaves alone what the service has under such keys, and a warning names them"}
	return sock.Table{
		row(sock.MethodSet, "Adds a service, or replaces it in place, and starts it.", intake{persist: true, replace: true}, description, persist, exact),
		row(sock.MethodAdd, "Adds a service that is not there yet, and starts it.", intake{persist: true}, description, persist),
		row(sock.MethodRegister, "Adds a service, writes its file, and starts it.", intake{persist: true, fixed: true}, description),
		row(sock.MethodMonitor, "Adds a service that is gone after the next boot, and starts it.", intake{fixed: true}, description),
	}
}

// An intake says how a service is taken in.
type intake struct {
	persist bool // its file is in the configuration directory
	fixed   bool // whatever the parameters say about that
	replace bool // there may be one of that name
}

// put answers all methods that take a service in. What is wrong with it is found
// in this order: its shape, its values, its program, its dependencies, a cycle,
// the disk; nothing is changed before all of that is well.
func (s *server) put(ctx context.Context, c *sock.Call, in intake) (any, error) {
	text, p, err := description(c)
	if err != nil {
		return nil, err
	}
	if p.Persist != nil && !in.fixed {
		in.persist = *p.Persist
	}
	svc, warnings, err := config.FromJSON(text)
	if err != nil {
		return nil, wrongConfig(err)
	}
	result := sock.SetResult{Name: svc.Name, Warnings: warnings}
	err = s.exclusively(ctx, func() error {
		if was := s.sup.Snapshot().Find(svc.Name); was != nil && in.replace && !p.Exact {
			svc, result.Warnings = carry(svc, warnings, text, was.Config)
		}
		warnings, err := s.acceptable(svc, in)
		if err != nil {
			return err
		}
		result.Warnings = append(result.Warnings, warnings...)
		return s.takeIn(svc, in, &result)
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// description finds what a call says of a service: under config, or all of it but
// for what is about the call itself.
func description(c *sock.Call) (text []byte, p sock.SetParams, err error) {
	if err := c.Params(&p); err != nil {
		return nil, p, err
	}
	params := map[string]json.RawMessage{}
	switch err := json.Unmarshal(c.Raw, &params); {
	case c.Raw == nil:
		return []byte("null"), p, nil
	case err != nil:
		return c.Raw, p, nil // no object: that is for its reader to say
	}
	if text, ok := params["config"]; ok {
		return text, p, nil
	}
	before := len(params)
	delete(params, "persist")
	delete(params, "exact")
	if len(params) == before {
		return c.Raw, p, nil
	}
	text, err = json.Marshal(params)
	return text, p, err
}

// carry is a service that replaces another one, by the text of a client that may know
// only the keys of zinit 0.3.9: what was said with others stays, and that is told.
func carry(svc *config.Service, warnings []string, text []byte, was *config.Service) (*config.Service, []string) {
	all, more, kept, lost, err := config.Carry(text, was)
	if err == nil {
		svc, warnings = all, more
	}
	keepPolicy(svc, was, text)
	if len(kept) > 0 {
		warnings = append(warnings, "kept as it was, because nothing here says that it is known: "+strings.Join(kept, ", ")+
			": exact = true replaces that too")
	}
	if len(lost) > 0 {
		warnings = append(warnings, "lost, because it does not go with the rest: "+strings.Join(lost, ", ")+": say it again in another way")
	}
	return svc, warnings
}

// keepPolicy has a oneshot that is retried on failure, because it says so, be
// retried after a change by a client that hands back what it read, but for the key
// that it does not know.
func keepPolicy(svc, was *config.Service, text []byte) {
	var said struct{ Lifecycle map[string]any }
	if !svc.Oneshot() || json.Unmarshal(text, &said) != nil {
		return
	}
	if is, had := &svc.Lifecycle, was.Lifecycle; had.RestartExplicit && had.Restart == config.RestartOnFailure &&
		is.Restart == config.RestartOnFailure && said.Lifecycle["restart"] != nil && said.Lifecycle["restart_explicit"] == nil {
		is.RestartExplicit = true
	}
}

// wrongConfig is what is wrong with a description, on the wire.
func wrongConfig(err error) error {
	var invalid *config.InvalidError
	if errors.As(err, &invalid) {
		return sock.ValidationFailed(invalid.Problems)
	}
	return &sock.Error{Code: sock.CodeInvalidParams, Message: err.Error(), Data: sock.Detail{Word: "invalid_param"}}
}

// acceptable refuses a service that could not be, among the others that there are;
// what keeps it from starting today only is among the warnings.
func (s *server) acceptable(svc *config.Service, in intake) (warnings []string, err error) {
	snap := s.sup.Snapshot()
	was := snap.Find(svc.Name)
	switch {
	case s.isSystem(snap, svc.Name):
		return nil, systemOwned(svc.Name)
	case was != nil && !in.replace:
		return nil, exists("service already exists: %s: use service.set to replace it", svc.Name)
	case was != nil && !in.persist && was.Config.Source != "" && !s.isEphemeral(was):
		return nil, exists("%s is kept in %s: persist the change, or delete it first", svc.Name, was.Config.Source)
	}
	warning, err := executable(svc)
	if err != nil {
		return nil, err
	}
	for _, w := range []string{warning, directory(svc)} {
		if w != "" {
			warnings = append(warnings, w)
		}
	}
	for _, names := range [][]string{svc.After, svc.Requires, svc.Wants, svc.Conflicts} {
		for _, name := range names {
			if name != svc.Name && snap.Find(name) == nil {
				return nil, sock.DependencyNotFound(name)
			}
		}
	}
	_, err = s.sup.Put(svc, true)
	return warnings, refusal(err)
}

func exists(format string, args ...any) error {
	return &sock.Error{Code: sock.CodeServiceExists, Message: fmt.Sprintf(format, args...), Data: sock.Detail{Word: sock.WordExists}}
}

// executable refuses a service whose program does not exist. What a shell makes of
// its line is the shell's business.
func executable(svc *config.Service) (warning string, err error) {
	word := svc.Command.Argv[0]
	_, err = config.LookPath(word, append(os.Environ(), svc.Env...), svc.Dir)
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, fs.ErrNotExist):
		return "", sock.ExecNotFound(word)
	}
	return err.Error(), nil // its mode may be mended, and zinit 0.3.9 takes it
}

// directory warns of a working directory that is none: it may be made yet.
func directory(svc *config.Service) (warning string) {
	if svc.Dir == "" {
		return ""
	}
	switch st, err := os.Stat(svc.Dir); {
	case errors.Is(err, fs.ErrNotExist):
		return "service.dir: " + svc.Dir + " does not exist: make it before the service starts"
	case err == nil && !st.IsDir():
		return "service.dir: " + svc.Dir + " is not a directory: the service cannot start there"
	}
	return ""
}

// takeIn writes the file of an acceptable service and applies what it says.
func (s *server) takeIn(svc *config.Service, in intake, result *sock.SetResult) error {
	dir := s.dirs.User
	if !in.persist {
		dir = s.dirs.Ephemeral
		// Whatever keeps it from being made keeps the file from being written.
		_ = os.Mkdir(dir, 0o700)
	}
	switch stored, kept, err := s.store(dir, svc); {
	case err != nil:
		return err
	case stored == nil:
		s.unsaved[svc.Name] = svc
		result.Warnings = append(result.Warnings, "there is no runtime directory to keep it in: it is forgotten when the server ends")
	default:
		svc = stored
		delete(s.unsaved, svc.Name)
		if kept != "" {
			result.Warnings = append(result.Warnings, "the old text of the file is kept as "+kept+": comments or keys of it are not in the new one")
		}
	}
	if in.persist {
		result.Path = svc.Source
	}
	s.remember(svc.Name)
	if _, err := s.sup.Put(svc, false); err != nil {
		return refusal(err)
	}
	s.provide(svc.Name)
	s.log.Info("service set", "service", svc.Name, "file", svc.Source)
	if in.persist && s.dirs.Ephemeral != "" {
		// It is here to stay now. A file that is left does no harm: this one wins.
		if _, err := config.Unlink(s.dirs.Ephemeral, svc.Name); err != nil {
			s.log.Warn("cannot remove the file of a service that is kept elsewhere now", "service", svc.Name, "error", err)
		}
	}
	return nil
}

// store writes the file of a service and reads it back: what applies now is what
// will after the next boot. Nil: there is no such directory.
func (s *server) store(dir string, svc *config.Service) (stored *config.Service, kept string, err error) {
	if dir == "" {
		return nil, "", nil
	}
	given := s.dirs.DefaultsIn(dir)
	path, kept, err := given.Save(dir, svc)
	if err != nil {
		return nil, "", sock.PersistFailed(path, err)
	}
	stored, problems := given.LoadFile(path)
	if stored == nil {
		return nil, "", sock.PersistFailed(path, errors.New(problems[0].Message))
	}
	return stored, kept, nil
}

// isSystem reports that a name belongs to the system's directory, be its file good
// or not.
func (s *server) isSystem(snap *supervise.Snapshot, name string) bool {
	system := func(file string) bool { return s.dirs.System != "" && filepath.Dir(file) == s.dirs.System }
	if v := snap.Find(name); v != nil && system(v.Config.Source) {
		return true
	}
	return slices.ContainsFunc(snap.Problems, func(p config.Problem) bool { return p.Service == name && system(p.File) })
}

func systemOwned(name string) error {
	return sock.Refuse(sock.WordSystem, "%s: it belongs to the system: change its file in %s", name, env.SystemConfig)
}

// isEphemeral reports that a service is gone after the next boot.
func (s *server) isEphemeral(v *supervise.View) bool {
	return s.dirs.Ephemeral != "" && strings.HasPrefix(v.Config.Source, s.dirs.Ephemeral+"/")
}

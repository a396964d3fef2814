package server

import (
	"context"
	"errors"
	"time"

	"zinit/depgraph"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
)

// removals is the methods that make services go away.
func (s *server) removals() sock.Table {
	cascade := sock.Param{Name: "cascade", Type: "boolean", Summary: "delete it although others require it: they stop first, and fail for the lack of it"}
	one := []sock.Param{nameParam, cascade}
	return sock.Table{
		{Name: sock.MethodDelete, Access: sock.Change, Summary: "Stops and forgets a service, and removes its file.", Result: sock.OK{}, Waits: true, Params: one, Handle: s.remove},
		{Name: sock.MethodRemove, Access: sock.Change, Summary: "The same as service.delete.", Result: sock.OK{}, Waits: true, Params: one, Handle: s.remove},
		{Name: sock.MethodDeleteAll, Access: sock.Change, Summary: "Deletes all services of class user, but for those with status ignore.", Result: sock.DeletedResult{}, Waits: true,
			Params: []sock.Param{cascade}, Handle: s.removeAll},
	}
}

// removalPatience is how long a deletion is waited for: clients of zinit 0.3.9
// give up after five seconds. What takes longer goes on by itself.
const removalPatience = 4 * time.Second

func (s *server) remove(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.DeleteParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	err := s.exclusively(ctx, func() error {
		if s.isSystem(s.sup.Snapshot(), p.Name) {
			return systemOwned(p.Name)
		}
		// First whether it may go, then its file, then the service.
		if _, err := s.sup.Delete(p.Name, p.Cascade, true); err != nil {
			return refusal(err)
		}
		return s.forget(p.Name, p.Cascade)
	})
	if err != nil {
		return nil, err
	}
	s.awaitGone(ctx, p.Name)
	return sock.Done, nil
}

// forget removes the files of a service, and then the service itself.
func (s *server) forget(name string, cascade bool) error {
	if _, err := s.unlink(name); err != nil {
		return err
	}
	_, err := s.sup.Delete(name, cascade, false)
	if err == nil {
		s.log.Info("service deleted", "service", name)
	}
	return refusal(err)
}

// unlink removes all that describes services to the next server, one after the
// other until that fails; gone are those that it is done with.
func (s *server) unlink(names ...string) (gone []string, err error) {
	var claims []*config.Claims
	for _, dir := range []string{s.dirs.Ephemeral, s.dirs.User} {
		if dir != "" {
			claims = append(claims, config.ClaimsOn(dir, names...))
		}
	}
	for _, name := range names {
		for _, c := range claims {
			if path, err := c.Unlink(name); err != nil {
				return gone, sock.Refuse(sock.WordPersist, "failed to delete config file for service '%s': %s: %v", name, path, err)
			}
		}
		if s.dirs.Legacy != "" {
			if path, err := config.UnlinkLegacy(s.dirs.Legacy, name); err != nil {
				return gone, sock.Refuse(sock.WordPersist, "failed to delete config file for service '%s': %s: %v", name, path, err)
			}
		}
		delete(s.unsaved, name)
		delete(s.monitored, name)
		s.remember(name) // there is nothing to forget any more
		gone = append(gone, name)
	}
	return gone, nil
}

// awaitGone returns when the services are gone, or when it takes too long.
func (s *server) awaitGone(ctx context.Context, names ...string) {
	ctx, cancel := context.WithTimeout(ctx, removalPatience)
	defer cancel()
	for _, name := range names {
		// A state that nothing gets into that is on its way out: the wait ends when
		// the service is gone, or when somebody sets it again.
		if _, err := s.sup.Wait(ctx, []string{name}, sock.Starting, false); err != nil {
			return
		}
	}
}

func (s *server) removeAll(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.DeleteParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	var gone []string
	err := s.exclusively(ctx, func() (err error) {
		snap := s.sup.Snapshot()
		if err := s.mayGo(snap, p.Cascade); err != nil {
			return err
		}
		var names []string
		for _, v := range snap.Views {
			if s.inBulk(snap, v) {
				names = append(names, v.Name)
			}
		}
		gone, err = s.unlink(names...) // those before a failure are without a file by now: they go
		_, refused := s.sup.DeleteAll(gone)
		s.log.Info("services deleted", "services", len(gone))
		return errors.Join(err, refusal(refused))
	})
	if err != nil {
		return nil, err
	}
	s.awaitGone(ctx, gone...)
	return sock.DeletedResult{Count: len(gone), Deleted: gone}, nil
}

// inBulk reports that methods for all services mean this one too.
func (s *server) inBulk(snap *supervise.Snapshot, v *supervise.View) bool {
	return v.Config.Class == config.ClassUser && v.Config.Status != config.StatusIgnore && !s.isSystem(snap, v.Name)
}

// mayGo refuses to delete all while a service that stays requires one of them, and
// in a shutdown.
func (s *server) mayGo(snap *supervise.Snapshot, cascade bool) error {
	if snap.Draining {
		return refusal(&supervise.Refusal{Code: supervise.ShuttingDown, Text: "zinit is shutting down: delete them after the next boot"})
	}
	if cascade {
		return nil
	}
	for _, v := range snap.Views {
		if s.inBulk(snap, v) {
			continue
		}
		for _, u := range snap.Uses(v.Name) {
			if u.Kind == depgraph.Requires && s.inBulk(snap, u.View) {
				return refusal(&supervise.Refusal{
					Code: supervise.Required, Service: u.View.Name,
					Text: u.View.Name + ": " + v.Name + ", which stays, requires it: delete that first, or cascade: it is stopped and fails then",
				})
			}
		}
	}
	return nil
}

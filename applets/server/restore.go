package server

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"zinit/supervise/config"
)

// stirred is called when something was deleted from the runtime directory, or all of
// it: what can be made again is. It is called on the pump's goroutine, which the log
// stores wait for, and so does only what they need.
func (s *server) stirred() {
	remade, err := s.at.restore()
	switch {
	case err != nil:
		s.log.Error("the runtime directory is gone and cannot be made again: a server that takes over will not know how things are", "dir", s.at.dir, "error", err)
	case remade:
		s.log.Warn("the runtime directory was deleted: it is made again, with what is known of it", "dir", s.at.dir)
		go s.refill()
	}
	go s.sup.Remember()
}

// refill writes again what was in the runtime directory, but for what its owners look
// after themselves: the log stores and the state.
func (s *server) refill() {
	s.ears.ListenAgain()
	err := s.exclusively(context.Background(), func() error {
		var failed error
		for _, v := range s.sup.Snapshot().Views {
			if s.isEphemeral(v) {
				failed = errors.Join(failed, s.saveAgain(v.Config))
			}
		}
		return failed
	})
	if err != nil {
		s.log.Warn("an ephemeral service will be forgotten with this server", "error", err)
	}
	s.dirs.Cache.Lost()
	s.saveCompiled()
}

// saveAgain writes the file of an ephemeral service, if it is not there.
func (s *server) saveAgain(svc *config.Service) error {
	if _, err := os.Lstat(svc.Source); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Mkdir(s.dirs.Ephemeral, 0o700) // what keeps it from being made keeps the file from being written
	_, _, err := config.Save(s.dirs.Ephemeral, svc)
	return err
}

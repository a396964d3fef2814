package server

import (
	"context"

	"zinit/sock"
)

// demands is the methods for who starts services when they are needed.
func (s *server) demands() sock.Table {
	service := []sock.Param{{Name: "service", Type: "string", Required: true, Summary: "the service"}}
	return sock.Table{
		{Name: sock.MethodXinetActivate, Access: sock.Change, Summary: "Has a service up because a connection needs it, and answers when others may rely on it.", Params: service, Result: sock.OK{}, Waits: true, Handle: s.activate},
		{Name: sock.MethodXinetRelease, Access: sock.Change, Summary: "Stops a service that no connection needs any more, unless it was started by hand or others require it.", Params: service, Result: sock.ReleaseResult{}, Handle: s.release},
	}
}

func (s *server) activate(ctx context.Context, c *sock.Call) (any, error) {
	var p sock.ActivateParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	return done(s.sup.Activate(ctx, p.Service))
}

func (s *server) release(_ context.Context, c *sock.Call) (any, error) {
	var p sock.ActivateParams
	if err := c.Params(&p); err != nil {
		return nil, err
	}
	if s.proxies != nil && s.proxies.needed(p.Service) {
		return sock.ReleaseResult{}, nil
	}
	stopped, err := s.sup.Release(p.Service)
	if err != nil {
		return nil, refusal(err)
	}
	return sock.ReleaseResult{Stopped: stopped}, nil
}

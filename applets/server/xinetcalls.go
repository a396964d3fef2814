package server

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"zinit/proxy"
	"zinit/sock"
	"zinit/supervise/config"
)

// proxyMethods is the methods about proxies.
func (s *server) proxyMethods() sock.Table {
	name := []sock.Param{{Name: "name", Type: "string", Required: true, Summary: "the proxy"}}
	description := []sock.Param{{Name: "config", Type: "object", Of: sock.XinetConfig{}, Lax: true, Summary: "the proxy; when it is not given, the parameters themselves are the description"}}
	set := func(method string) sock.Method {
		return sock.Method{Name: method, Access: sock.Change, Summary: "Adds a proxy, or replaces the one of that name, and writes its file.", Params: description, Result: sock.OK{}, Waits: true, Handle: s.xinetSet}
	}
	remove := func(method string) sock.Method {
		return sock.Method{Name: method, Access: sock.Change, Summary: "Removes a proxy and its file; its connections go on.", Params: name, Result: sock.OK{}, Waits: true, Handle: s.xinetDelete}
	}
	return sock.Table{
		set(sock.MethodXinetSet), set(sock.MethodXinetRegister),
		remove(sock.MethodXinetDelete), remove(sock.MethodXinetUnregister),
		{Name: sock.MethodXinetList, Access: sock.Read, Summary: "Lists the names of all proxies.", Result: sock.Names{}, Handle: s.xinetList},
		{Name: sock.MethodXinetGet, Access: sock.Read, Summary: "Returns the configuration of a proxy.", Params: name, Result: sock.XinetConfig{}, Handle: s.xinetGet},
		{Name: sock.MethodXinetStatus, Access: sock.Read, Summary: "Returns how a proxy is.", Params: name, Result: sock.XinetStatus{}, Handle: s.xinetStatus},
		{Name: sock.MethodXinetStatusAll, Access: sock.Read, Summary: "Returns how all proxies are.", Result: []sock.XinetStatus{}, Handle: s.xinetStatusAll},
	}
}

// noProxy is how methods that change something answer to an unknown name.
func noProxy(name string) error {
	return sock.Refuse(sock.WordProxyNotFound, "Proxy '%s' not found", name)
}

func (s *server) xinetSet(ctx context.Context, c *sock.Call) (any, error) {
	text := []byte(c.Raw)
	var wrapped struct{ Config json.RawMessage }
	if json.Unmarshal(text, &wrapped) == nil && wrapped.Config != nil {
		text = wrapped.Config
	}
	if len(text) == 0 {
		text = []byte("null")
	}
	p, err := config.ProxyFromJSON(text)
	var shape *config.ShapeError
	switch {
	case errors.As(err, &shape):
		return nil, invalidParam("Invalid xinet config: %s", shape.Message)
	case err != nil:
		return nil, sock.Refuse(sock.WordInvalidProxy, "%s", err)
	}
	err = s.exclusively(ctx, func() error {
		if c, ok := s.findProxy(p.Name); ok {
			p.Source = c.Source
		}
		return s.proxies.set(p, func() error {
			path, kept, err := config.SaveProxy(s.dirs.User, p)
			if err != nil {
				return sock.PersistFailed(path, err)
			}
			p.Source = path
			if kept != "" {
				s.log.Info("what the file was is kept", "file", path, "kept", kept)
			}
			s.log.Info("proxy set", "proxy", p.Name, "service", p.Service)
			return nil
		})
	})
	var told *sock.Error
	switch {
	case errors.Is(err, errOver):
		return nil, sock.ShuttingDown()
	case err != nil && !errors.As(err, &told):
		return nil, sock.Refuse(sock.WordInvalidProxy, "%s: %s", p.Name, err)
	}
	return done(err)
}

func (s *server) xinetDelete(ctx context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	err = s.exclusively(ctx, func() error {
		return s.proxies.remove(name, func(p *config.Proxy) error {
			if err := config.UnlinkProxy(p); err != nil {
				return sock.Refuse(sock.WordPersist, "failed to delete the file of proxy '%s': %s: %v", name, p.Source, err)
			}
			s.log.Info("proxy deleted", "proxy", name)
			return nil
		})
	})
	if errors.Is(err, errNoProxy) {
		err = noProxy(name)
	}
	return done(err)
}

func (s *server) findProxy(name string) (configured, bool) {
	for _, c := range s.proxies.list() {
		if c.Name == name {
			return c, true
		}
	}
	return configured{}, false
}

func (s *server) xinetList(context.Context, *sock.Call) (any, error) {
	names := sock.Names{}
	for _, c := range s.proxies.list() {
		names = append(names, c.Name)
	}
	return names, nil
}

func (s *server) xinetGet(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	one, ok := s.findProxy(name)
	if !ok {
		return nil, &sock.Error{Code: sock.CodeServiceNotFound, Message: "proxy not found", Data: sock.Detail{Word: sock.WordProxyNotFound}}
	}
	p := one.Proxy
	r := sock.XinetConfig{
		Name: p.Name, Listen: sock.Names{}, Backend: p.Backend.String(), Service: p.Service,
		ConnectTimeout: p.ConnectTimeout.Seconds(), IdleTimeout: p.IdleTimeout.Seconds(), IdleFrom: "close",
		SingleConnection: p.Single, MaxConnections: int64(p.MaxConnections), OnBusy: "queue",
	}
	for _, a := range p.Listen {
		r.Listen = append(r.Listen, a.String())
	}
	if p.FromByte {
		r.IdleFrom = "byte"
	}
	if p.Refuse {
		r.OnBusy = "refuse"
	}
	return r, nil
}

func (s *server) xinetStatus(_ context.Context, c *sock.Call) (any, error) {
	name, err := c.Name()
	if err != nil {
		return nil, err
	}
	for _, one := range s.proxyStates() {
		if one.Name == name {
			return one, nil
		}
	}
	return nil, &sock.Error{Code: sock.CodeServiceNotFound, Message: "proxy not found", Data: sock.Detail{Word: sock.WordProxyNotFound}}
}

func (s *server) xinetStatusAll(context.Context, *sock.Call) (any, error) {
	return s.proxyStates(), nil
}

// proxyStates is how all proxies are, by name.
func (s *server) proxyStates() []sock.XinetStatus {
	states, failed := s.proxies.status()
	list := []sock.XinetStatus{}
	for _, c := range s.proxies.list() {
		err := c.err
		if err == nil {
			err = failed
		}
		list = append(list, proxyState(c.Proxy, states[c.Name], err))
	}
	return list
}

func proxyState(p *config.Proxy, is proxy.Status, err error) sock.XinetStatus {
	var listen []string
	for _, a := range p.Listen {
		listen = append(listen, a.String())
	}
	r := sock.XinetStatus{
		Name: p.Name, Service: p.Service, Listen: strings.Join(listen, ", "), Backend: p.Backend.String(), Running: err == nil,
		ActiveConnections: int64(is.Active), Connections: int64(is.Active), TotalConnections: is.Total,
		BytesToBackend: is.BytesIn, BytesFromBackend: is.BytesOut,
		Activations: is.Activations, Failed: is.Failed, Refused: is.Refused,
	}
	if err != nil {
		r.Error = err.Error()
	}
	if is.LastActivity.After(time.Unix(0, 0)) {
		r.LastActivityMs = is.LastActivity.UnixMilli()
	}
	return r
}

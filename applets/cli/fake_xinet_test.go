package cli

import (
	"encoding/json"
	"fmt"

	"zinit/sock"
)

// proxyRows is the methods about proxies: there are pg, which works, and taken, which
// does not. What is set is answered with what was sent, as far as the server has to
// understand it.
func proxyRows(some bool) []fakeRow {
	all := []sock.XinetStatus{
		{
			Name: "pg", Service: "postgres", Listen: "tcp:localhost:5432, unix:/run/pg", Backend: "unix:/b", Running: true,
			ActiveConnections: 2, Connections: 2, TotalConnections: 17, BytesToBackend: 1234, BytesFromBackend: 56789,
			Activations: 3, Failed: 1, Refused: 2, LastActivityMs: 1795168790000,
		},
		{Name: "taken", Service: "s", Listen: "tcp::1", Backend: "tcp::2", Error: "cannot listen on tcp::1: it is in use: stop who listens there, or choose another address"},
	}
	names := sock.Names{"pg", "taken"}
	if !some {
		all, names = []sock.XinetStatus{}, sock.Names{}
	}
	find := func(c *sock.Call) (*sock.XinetStatus, string) {
		var p sock.NameParams
		_ = json.Unmarshal(c.Raw, &p)
		for i := range all {
			if all[i].Name == p.Name {
				return &all[i], p.Name
			}
		}
		return nil, p.Name
	}
	return []fakeRow{
		{sock.MethodXinetList, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) { return names, nil }},
		{sock.MethodXinetStatusAll, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) { return all, nil }},
		{sock.MethodXinetStatus, nil, func(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
			if one, _ := find(c); one != nil {
				return *one, nil
			}
			return nil, &sock.Error{Code: sock.CodeServiceNotFound, Message: "proxy not found", Data: sock.Detail{Word: sock.WordProxyNotFound}}
		}},
		{sock.MethodXinetDelete, nil, func(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
			if one, name := find(c); one == nil {
				return nil, sock.Refuse(sock.WordProxyNotFound, "Proxy '%s' not found", name)
			}
			return sock.Done, nil
		}},
		{sock.MethodXinetSet, nil, func(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
			var p struct{ Config sock.XinetConfig }
			if err := json.Unmarshal(c.Raw, &p); err != nil {
				return nil, err
			}
			text := fmt.Sprintf("%+v", p.Config)
			switch want := "{Name:pg Listen:[tcp:localhost:5432 unix:/run/pg] Backend:unix:/b Service:postgres ConnectTimeout:10 IdleTimeout:300 IdleFrom:byte SingleConnection:false MaxConnections:7 OnBusy:refuse}"; {
			case p.Config.Name == "taken":
				return nil, sock.Refuse(sock.WordInvalidProxy, "taken: %s", all[1].Error)
			case p.Config.Name == "pg" && text != want, p.Config.Name == "one" && !p.Config.SingleConnection:
				return nil, sock.Refuse(sock.WordInvalidProxy, "it was sent as %s", text)
			}
			return sock.Done, nil
		}},
	}
}

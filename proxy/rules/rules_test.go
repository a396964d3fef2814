package rules

import (
	"strings"
	"testing"

	"zinit/proxy/address"
)

func TestWhatIsWrongWithAProxy(t *testing.T) {
	good := func() Proxy {
		return Proxy{
			Name: "p", Service: "s", ConnectTimeout: 1, Backend: address.Address{Network: "tcp", Port: 1},
			Listen: []address.Address{{Network: "unix", Path: "/a"}},
		}
	}
	c := good()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Proxy){
		"service name is required":                 func(c *Proxy) { c.Service = "" },
		"at least one listen address":              func(c *Proxy) { c.Listen = nil },
		"a backend address is required":            func(c *Proxy) { c.Backend = address.Address{} },
		"is no stream":                             func(c *Proxy) { c.Backend.Network = "udp" },
		"listen address fifo:/a is no stream":      func(c *Proxy) { c.Listen[0].Network = "fifo" },
		"are for addresses to listen on":           func(c *Proxy) { c.Backend = address.Address{Network: "unix", Path: "/b", Mode: 0o600} },
		"connect_timeout must be more than 0":      func(c *Proxy) { c.ConnectTimeout = 0 },
		"cannot be negative":                       func(c *Proxy) { c.IdleTimeout = -1 },
		"the proxy would connect to itself":        func(c *Proxy) { c.Backend = c.Listen[0] },
		"listen address unix:/a is there twice: r": func(c *Proxy) { c.Listen = append(c.Listen, c.Listen[0]) },
	} {
		c := good()
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

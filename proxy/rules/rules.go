// Package rules is what a proxy is to do, and what of that cannot be: as files, requests
// and command lines say it, and package proxy carries it out. It is pure.
package rules

import (
	"errors"
	"fmt"
	"time"

	"zinit/proxy/address"
)

// A Proxy is what one is to do.
type Proxy struct {
	Name    string
	Listen  []address.Address
	Backend address.Address
	Service string
	// ConnectTimeout bounds how long a connection waits for the service and the backend.
	ConnectTimeout time.Duration
	// IdleTimeout is how long the service is kept without connections; 0: for ever.
	IdleTimeout time.Duration
	// FromByte counts that from the last byte that was carried, instead of from the
	// last close.
	FromByte bool
	// MaxConnections is how many are served at a time; 0: any number. More wait, or
	// with Refuse are closed at once.
	MaxConnections int
	Refuse         bool
}

// Check says what is wrong with a proxy, and what to do.
func (c *Proxy) Check() error {
	switch {
	case c.Service == "":
		return errors.New("service name is required")
	case len(c.Listen) == 0:
		return errors.New("at least one listen address is required")
	case c.Backend == address.Address{}:
		return errors.New("a backend address is required")
	case !c.Backend.Stream():
		return fmt.Errorf("backend %s is no stream: name a tcp or unix address", c.Backend)
	case c.Backend != c.Backend.Place():
		return fmt.Errorf("backend %s: mode, user and group are for addresses to listen on: leave them out", c.Backend)
	case c.ConnectTimeout <= 0:
		return errors.New("connect_timeout must be more than 0")
	case c.IdleTimeout < 0 || c.MaxConnections < 0:
		return errors.New("idle_timeout and max_connections cannot be negative")
	}
	for i, a := range c.Listen {
		if !a.Stream() {
			return fmt.Errorf("listen address %s is no stream: name a tcp or unix address", a)
		}
		if a.Place() == c.Backend {
			return fmt.Errorf("%s is both listened on and the backend: the proxy would connect to itself; choose another address", a.Place())
		}
		for _, b := range c.Listen[:i] {
			if a.Place() == b.Place() {
				return fmt.Errorf("listen address %s is there twice: remove one", a.Place())
			}
		}
	}
	return nil
}

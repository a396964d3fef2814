package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"zinit/supervise/config"
)

// prober carries out tcp and http checks, each on a goroutine of its own with the
// check's timeout.
type prober struct{}

// Check implements supervise.Prober.
func (p prober) Check(h *config.Health, done func(error)) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
		defer cancel()
		err := p.check(ctx, h)
		var n net.Error
		if late := ctx.Err() != nil || errors.As(err, &n) && n.Timeout(); err != nil && late {
			err = fmt.Errorf("%s did not answer within %s", h.Target, h.Timeout)
		}
		done(err)
	}()
}

func (p prober) check(ctx context.Context, h *config.Health) error {
	if h.Kind == config.ProbeHTTP {
		return p.http(ctx, h)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.Target)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

func (p prober) http(ctx context.Context, h *config.Health) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.Target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "zinit-health")
	resp, err := client(ctx).Do(req)
	if err != nil {
		return plain(err)
	}
	// What it says is read no further: a page may have no end, or wait for events.
	resp.Body.Close()
	if resp.StatusCode != h.ExpectStatus {
		return fmt.Errorf("%s answered %d, expected %d", h.Target, resp.StatusCode, h.ExpectStatus)
	}
	return nil
}

// client makes the client of one check. Everything of it ends with ctx: by itself a
// transport goes on connecting, and waits for a handshake, long after the request
// was given up, and each check of a service that hangs would leave that behind.
func client(ctx context.Context) *http.Client {
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		if at, ok := ctx.Deadline(); ok {
			err = conn.SetDeadline(at)
		}
		if err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dial,
			// Each check asks anew: a kept connection may outlive the listener
			// whose health is in question.
			DisableKeepAlives: true,
			// A check asks whether the service answers, not who vouches for it:
			// services on loopback have certificates for other names.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			// What is checked is not trusted with our memory.
			MaxResponseHeaderBytes: 64 << 10,
		},
		// The answer to the request is the answer of the service.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// plain strips the layers that repeat what the message says anyway.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s: %w", op.Addr, op.Err)
	}
	return err
}

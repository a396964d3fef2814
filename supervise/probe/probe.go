package probe

import (
	"context"
	"errors"
	"fmt"
	"net"

	"zinit/supervise/config"
)

// A Prober carries out tcp and http checks, each on a goroutine of its own with the
// check's timeout. The zero value works; it is safe for concurrent use.
type Prober struct{}

// Check carries out one check and calls done once, with why it failed, within the
// check's timeout or soon after. It does not block.
func (p Prober) Check(h *config.Health, done func(error)) {
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

func (p Prober) check(ctx context.Context, h *config.Health) error {
	if h.Kind == config.ProbeHTTP {
		return p.http(ctx, h)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.Target)
	if err != nil {
		return plain(err)
	}
	return conn.Close()
}

func (p Prober) http(ctx context.Context, h *config.Health) error {
	status, err := askHTTP(ctx, h.Target)
	if err != nil {
		return plain(err)
	}
	if status != h.ExpectStatus {
		return fmt.Errorf("%s answered %d, expected %d", h.Target, status, h.ExpectStatus)
	}
	return nil
}

// plain strips the layers that repeat what the message says anyway.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s: %w", op.Addr, op.Err)
	}
	return err
}

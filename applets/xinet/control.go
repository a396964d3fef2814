package xinet

import (
	"context"
	"errors"

	"zinit/sock"
)

// control activates and releases services by asking a server. Each question has a
// connection of its own: one that waits for a slow service holds up no other.
type control struct{ paths []string }

// Activate implements proxy.Services.
func (c *control) Activate(ctx context.Context, service string) error {
	client, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Activate(ctx, service)
}

// Release implements proxy.Services.
func (c *control) Release(ctx context.Context, service string) (bool, error) {
	client, err := c.dial(ctx)
	if err != nil {
		return false, err
	}
	defer client.Close()
	return client.Release(ctx, service)
}

func (c *control) dial(ctx context.Context) (*sock.Client, error) {
	var failed error
	for _, path := range c.paths {
		client, err := sock.Dial(ctx, path)
		if err == nil {
			return client, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

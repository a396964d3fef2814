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
	stopped, err := client.Release(ctx, service)
	var refused *sock.Error
	if errors.As(err, &refused) && refused.Word() == sock.WordServiceNotFound {
		return true, nil // it is not even there, and a stop of it is never answered otherwise
	}
	return stopped, err
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

package zinit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"zinit/sock"
)

// An Event is a change of a service.
type Event struct {
	Service string
	State   ServiceState // as it is by now
	Pid     int
}

// Watch is the changes of services as they happen, of all when none is named. It ends
// when ctx does, and after the first error. A service that is unknown has no changes
// before it is there. Servers of zinit 0.2 tell none: ErrNotSupported.
func (c *Client) Watch(ctx context.Context, services ...string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		client, err := sock.Dial(ctx, c.socket)
		if err != nil {
			yield(Event{}, fmt.Errorf("cannot connect to zinit: %w", err))
			return
		}
		defer client.Close()
		wanted := map[string]bool{}
		for _, name := range services {
			wanted[name] = true
		}
		for e, err := range client.Events(ctx, sock.EventsParams{}) {
			if err != nil {
				yield(Event{}, fmt.Errorf("%w: the server tells no changes: %w", ErrNotSupported, err))
				return
			}
			if len(wanted) > 0 && !wanted[e.Service] || e.Service == "" {
				continue
			}
			status, err := c.WithContext(ctx).Status(e.Service)
			if errors.Is(err, ErrUnknownService) {
				continue
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yield(Event{Service: e.Service, State: status.State, Pid: status.Pid}, nil) {
				return
			}
		}
	}
}

// lookAgain is how often a server is asked that tells no changes, and how often one is
// asked that does: what happened before it was listened to is not told.
const lookAgain = time.Second

// news is sent to when something may have changed, until the function that it returns
// is called.
func (c *Client) news() (changed <-chan struct{}, end func()) {
	ctx, cancel := context.WithCancel(c.ctx)
	ch := make(chan struct{}, 1)
	go func() {
		client, err := sock.Dial(ctx, c.socket)
		if err != nil {
			return
		}
		defer client.Close()
		for _, err := range client.Events(ctx, sock.EventsParams{Now: true}) {
			if err != nil {
				return // the ticks go on
			}
			select {
			case ch <- struct{}{}:
			default:
			}
		}
	}()
	return ch, cancel
}

// await returns when so does, with true; when it fails; or when the time is up.
func (c *Client) await(timeout time.Duration, so func() (bool, error)) (bool, error) {
	changed, end := c.news()
	defer end()
	late := time.NewTimer(timeout)
	defer late.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if done, err := so(); done || err != nil {
			return done, err
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-late.C:
			return so()
		case <-c.ctx.Done():
			return false, c.ctx.Err()
		}
	}
}

// started reports a service that is up, or has done its work.
func (c *Client) started(service string) (bool, error) {
	status, err := c.Status(service)
	if err != nil {
		return false, err
	}
	if status.Target != ServiceTargetUp {
		return false, fmt.Errorf("expected service target of %s should be UP. found DOWN", service)
	}
	return status.State.Any(ServiceStateRunning, ServiceStateSuccess), nil
}

// stopped reports a service that is down, and is to be.
func (c *Client) stopped(service string) (bool, error) {
	status, err := c.Status(service)
	if err != nil {
		return false, err
	}
	if status.Target != ServiceTargetDown {
		return false, fmt.Errorf("expected service target of %s should be DOWN. found UP", service)
	}
	return status.Pid == 0 && status.State.Exited(), nil
}

// StartWait starts a service and waits until it is running, or until the timeout
// passes. If it timed out, the method returns an error if the service is not running. A
// timeout of 0 means no wait (similar to Start).
func (c *Client) StartWait(timeout time.Duration, service string) error {
	if err := c.Start(service); err != nil || timeout == 0 {
		return err
	}
	done, err := c.await(timeout, func() (bool, error) { return c.started(service) })
	if err != nil || done {
		return err
	}
	status, err := c.Status(service)
	if err == nil && status.State.Exited() {
		err = fmt.Errorf("service '%s' did not start in time. current state: %s", service, status.State.String())
	}
	return err
}

// StopWait stops a service and waits until it exits, or until the timeout passes. If it
// timed out, the service is killed with -9. A timeout of 0 means no wait (similar to
// Stop).
func (c *Client) StopWait(timeout time.Duration, service string) error {
	if err := c.Stop(service); err != nil || timeout == 0 {
		return err
	}
	done, err := c.await(timeout, func() (bool, error) { return c.stopped(service) })
	if err != nil || done {
		return err
	}
	return c.Kill(service, SIGKILL)
}

// StartMultiple starts services, monitors those that are not yet, and waits until all
// of them are up, or the timeout passes; that is no error.
func (c *Client) StartMultiple(timeout time.Duration, service ...string) error {
	var failed []error
	var waiting []string
	for _, name := range service {
		err := c.Monitor(name)
		if err != nil && !errors.Is(err, ErrAlreadyMonitored) {
			failed = append(failed, fmt.Errorf("cannot monitor %s: %w", name, err))
			continue
		}
		if err := c.Start(name); err != nil {
			failed = append(failed, fmt.Errorf("cannot start %s: %w", name, err))
			continue
		}
		waiting = append(waiting, name)
	}
	if timeout > 0 {
		failed = append(failed, c.awaitAll(timeout, &waiting, c.started))
	}
	return errors.Join(failed...)
}

// awaitAll waits until so is true of all names, or the timeout passes; those that are
// left then are in names.
func (c *Client) awaitAll(timeout time.Duration, names *[]string, so func(string) (bool, error)) error {
	_, err := c.await(timeout, func() (bool, error) {
		var left []string
		for _, name := range *names {
			done, err := so(name)
			if err != nil && !errors.Is(err, ErrUnknownService) {
				return false, err
			}
			if !done && err == nil {
				left = append(left, name)
			}
		}
		*names = left
		return len(left) == 0, nil
	})
	return err
}

// killTries is how often StopMultiple kills what does not stop.
const killTries = 10

// StopMultiple stops services and waits until all of them are down; those that are not
// when the timeout passes are killed. A service that is unknown is down.
func (c *Client) StopMultiple(timeout time.Duration, service ...string) error {
	var waiting []string
	for _, name := range service {
		err := c.Stop(name)
		if errors.Is(err, ErrUnknownService) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot stop %s: %w", name, err)
		}
		waiting = append(waiting, name)
	}
	if timeout == 0 {
		return nil
	}
	if err := c.awaitAll(timeout, &waiting, c.stopped); err != nil {
		return err
	}
	for range killTries {
		if len(waiting) == 0 {
			return nil
		}
		for _, name := range waiting {
			_ = c.Kill(name, SIGKILL) // it may have ended by now, which is looked at below
		}
		if err := c.awaitAll(lookAgain, &waiting, c.stopped); err != nil {
			return err
		}
	}
	if len(waiting) > 0 {
		return fmt.Errorf("cannot stop %v: they survive SIGKILL", waiting)
	}
	return nil
}

// Destroy destroys given services completely (stop, forget and remove).
func (c *Client) Destroy(timeout time.Duration, services ...string) error {
	if err := c.StopMultiple(timeout, services...); err != nil {
		return err
	}
	for _, name := range services {
		if err := c.Forget(name); err != nil && !errors.Is(err, ErrUnknownService) {
			return fmt.Errorf("cannot forget %s: %w", name, err)
		}
		if err := c.files.remove(name); err != nil {
			return err
		}
	}
	return nil
}

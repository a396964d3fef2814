package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"zinit/proxy/address"
)

// A backend is what the connections of a proxy are carried to.
type backend struct {
	address address.Address
	dialer  net.Dialer
	near    netip.AddrPort // of this machine; zero: it is not known to be
}

func newBackend(a address.Address) *backend {
	b := &backend{address: a}
	b.dialer.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: aliveIdle, Interval: aliveInterval, Count: aliveCount}
	if a.Host == "" || isNear(a.Host) { // it is four system calls less, too
		b.dialer.KeepAlive = -1
		b.dialer.KeepAliveConfig = net.KeepAliveConfig{}
		if ip, err := netip.ParseAddr(a.Host); err == nil {
			b.near = netip.AddrPortFrom(ip, a.Port)
		}
	}
	return b
}

// quick connects to a backend of this machine, which answers at once, one way or the
// other.
func (b *backend) quick() (stream, bool) {
	var conn stream
	var err error
	switch {
	case b.address.Network == address.Unix:
		conn, err = b.dialer.DialUnix(context.Background(), "unix", nil, &net.UnixAddr{Name: b.address.Path, Net: "unix"})
	case b.near.IsValid():
		conn, err = b.dialer.DialTCP(context.Background(), "tcp", netip.AddrPort{}, b.near)
	default:
		return nil, false
	}
	return conn, err == nil
}

// dial connects once. Lack of descriptors is waited out.
func (b *backend) dial(ctx context.Context) (stream, error) {
	for {
		conn, err := b.dialer.DialContext(ctx, b.address.Network, b.address.Endpoint())
		if err == nil {
			s, ok := conn.(stream)
			if !ok {
				conn.Close()
				return nil, fmt.Errorf("%s: it is no stream", b.address)
			}
			return s, nil
		}
		if !lacksDescriptors(err) || !wait(ctx, 20*time.Millisecond) {
			return nil, b.inWords(err)
		}
	}
}

// inWords keeps of an error what is not said already.
func (b *backend) inWords(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("cannot connect to %s: %w", b.address, err)
}

// lacksDescriptors reports that it is this process or machine that has no room.
func lacksDescriptors(err error) bool {
	for _, errno := range [...]syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// isBusy reports that a backend listens, and that its queue is full.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// hopeless reports an error that waiting does not mend.
func hopeless(err error) bool {
	for _, errno := range [...]syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EPROTOTYPE} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// wait waits; false: ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A probe finds out when a backend accepts, on behalf of all who wait for that.
type probe struct {
	done chan struct{} // closed when it has ended
	err  error         // why it does not; set before
	// first is the connection that was made; who takes it out has it.
	first atomic.Pointer[stream]
}

// take is the connection that the probe has made, for the first who asks.
func (p *probe) take() stream {
	if s := p.first.Swap(nil); s != nil {
		return *s
	}
	return nil
}

// The steps of a probe: how long between two tries, after how long. At first it is less
// the less has passed, so that little is added to a start that takes little.
const (
	atOnce    = 200 * time.Microsecond
	soon      = 2 * time.Millisecond
	soonUntil = 5 * time.Second
	later     = 20 * time.Millisecond
	// renewAfter is how long a backend is tried before its service is asked for again:
	// it may have gone down.
	renewAfter = 200 * time.Millisecond
)

// run tries until the backend accepts, ctx ends, or renew, which has the service up,
// says that this is in vain.
func (p *probe) run(ctx context.Context, b *backend, renew func(context.Context) error) {
	defer close(p.done)
	began := time.Now()
	renewed := time.Time{}
	for {
		s, err := b.dial(ctx)
		if err == nil {
			p.first.Store(&s)
			return
		}
		if hopeless(err) {
			p.err = err
			return
		}
		if time.Since(renewed) > renewAfter {
			if p.err = renew(ctx); p.err != nil {
				return
			}
			renewed = time.Now()
		}
		passed := time.Since(began)
		pause := min(max(passed/16, atOnce), soon)
		if passed > soonUntil {
			pause = later
		}
		if !wait(ctx, pause) {
			p.err = fmt.Errorf("%w, although its service is up", err)
			return
		}
	}
}

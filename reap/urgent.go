package reap

import "syscall"

// An Urgent is a client whose requests do not wait for Flush, nor for what does. It is
// for those who work on behalf of a loop that has flushed what they carry out. Its
// methods are those of the Client, and as safe.
type Urgent struct{ c *Client }

// Urgent is the same client for requests that do not wait for Flush.
func (c *Client) Urgent() Urgent { return Urgent{c} }

// Spawn is Client.Spawn.
func (u Urgent) Spawn(s Spec) {
	u.c.spawn(s, u.c.askNowLocked)
	u.c.push()
}

// Signal is Client.Signal.
func (u Urgent) Signal(key string, run uint64, sig syscall.Signal, scope Scope) {
	u.c.askNow(&signalMessage{key, run, sig, scope})
	u.c.push()
}

// Watch is Client.Watch.
func (u Urgent) Watch(key string, run uint64, pid int) {
	u.c.watch(key, run, pid, u.c.askNowLocked)
	u.c.push()
}

// Package reap owns fork, wait and kill, for the keeper and for whoever speaks
// to it.
//
//	server (Client) ── channel 1: requests, events ──▶ Keeper ── fork, reap, signal ──▶ children
//	                └─ channel 2: descriptors ───────▶ holder (a thread of the keeper)
//
// The keeper is the only process that forks and the only one that reaps. It
// promises:
//
//   - A status reaches whoever started the process, whatever else dies at the
//     same time; what nobody started is a counted orphan. Forks hold the read side
//     of a lock from before the fork until the child is registered, reaping holds
//     the write side.
//   - A signal reaches only a process that is not reaped yet: it is looked up and
//     signalled under the lock under which reaping removes it, so no number changes
//     its meaning in between.
//   - Requests of one key are carried out in the order in which they were made.
//   - An exit is repeated to every new server until it was acknowledged, a run
//     number is never accepted twice, and descriptors given into keeping come back.
//   - Neither side of the channel ever waits for the other: what cannot be sent
//     now waits in an outbox that is bounded by what the sender holds.
//   - No failed system call, panic or stopped server ends it.
//
// A process group is known to be empty when the kernel says that no child of the
// keeper is in it. Processes of the group whose parent is alive in another group
// are not children of the keeper, so they are not seen: whoever needs more than
// that needs cgroups.
//
// The package knows no configuration, no service, no restart and no dependency: a
// key is a name, and a plan is a list of waves that somebody else computed.
package reap

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
// What a process is given rides in the clone: its session, terminal, user, groups,
// descriptors and cgroup. What only it can change itself it changes in a step before the
// program, which is this binary too, in the same process: Prep. Only processes that want
// that pay for it, and one whose step fails was never there: SpawnFailed.
//
// A run ends with its main process, which is the one that was spawned or a later one
// that Client.Watch has named: the daemon that it left behind. What lives on afterwards
// lingers, in the process group or in the cgroup, until both are empty. A process group
// is known to be empty when the kernel says that no child of the keeper is in it;
// processes of the group whose parent is alive in another group are not seen. Of a
// cgroup the kernel tells by itself when nobody is left; whoever needs to be sure needs
// cgroups.
//
// Server and keeper may be one version apart. The keeper says what it can do (dress.go),
// and a server asks no keeper for what it cannot.
//
// The package knows no configuration, no service, no restart and no dependency: a
// key is a name, and a plan is a list of waves that somebody else computed.
package reap

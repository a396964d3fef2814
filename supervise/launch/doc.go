// Package launch knows how a service's process is born: from its configuration to
// everything that the keeper needs to start it.
//
//	loop ── Order ──▶ Launcher ── file, user, environment, terminal, cgroup ──▶ keeper
//	  ▲                   └── what went wrong, as SpawnFailed ──┐
//	  └──────────────────────── events ◀───────────────────────┴── keeper
//
// It owns what has to be looked up at each start and cannot be known before: the file
// of a command, the numbers of a user, the text of an env_file. That means reading
// files, some of them on file systems that may not answer, so it happens on goroutines
// of its own. It promises:
//
//   - No method waits. What concerns one service is done in the order in which it was
//     asked; a signal for a run that is still being prepared comes after it.
//   - An order ends in Spawned or SpawnFailed, and its text says what is wrong and what
//     can be done.
//   - A service that asks for nothing special costs nothing more than the look for its
//     file.
//   - The files of users and groups are read as they are: of bounded size, without C,
//     and a line that makes no sense is nobody's.
//
// It refuses to know states, dependencies and what a process is for.
package launch

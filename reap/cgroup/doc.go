// Package cgroup owns the control groups (version 2) of services: where they are,
// who is in them, how they are limited, measured, signalled and removed.
//
//	OWN/                      the cgroup that the keeper was started in
//	 └─ zinit-PID/            the tree; PID is the keeper's
//	     ├─ keeper/           the keeper moves itself into it, the server is born there
//	     ├─ web.svc/          one for each service
//	     └─ db.svc/
//
// It promises:
//
//   - Nobody is signalled who is not in the group at that moment: where the kernel
//     cannot end a group as a whole, its members are held by descriptor and looked up
//     again before they are signalled.
//   - Each call ends in bounded time and leaves no descriptor open.
//   - What a kernel or a layout does not offer is an error that says so, and nothing
//     else: on a hybrid layout (the controllers belong to version 1) members are
//     known and killed as anywhere, and the limits are refused by name.
//
// It refuses to know services, runs and what a limit is for. It mounts nothing.
package cgroup

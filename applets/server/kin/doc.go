// Package kin knows whose process a process is: which service has it, or zinit itself,
// or nobody here. A cgroup tells, where there are any; elsewhere sessions and descent do.
//
// Three questions are answered by that: what a forking service has left to do its work
// (Finder), who is in the way of a service and may be ended (Gatekeeper), and who may
// speak for a service (Speaker). The first two are parts of the supervisor, which is
// never kept waiting: they look on goroutines of their own.
//
// It promises to end nobody that belongs to zinit, but for what an earlier run of the
// same service has left behind. It refuses to know how services are stopped.
package kin

import "zinit/supervise/proc"

// A Family is what all need to know of the surroundings. Its functions are called from
// any goroutine.
type Family struct {
	Proc   proc.FS
	Keeper int                                // its pid
	Group  func(service string) ([]int, bool) // who is in its cgroup; false: it has none
}

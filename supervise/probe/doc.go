// Package probe carries out the health checks that need no process: a connection by
// TCP, and a request by HTTP or HTTPS whose status is compared.
//
// It promises that a check ends with its timeout, whatever the other side does, and
// that an answer costs a bounded amount of memory. It refuses to know when to check
// and what follows from the result: that is the supervisor's.
package probe

// Package power is the programs by which people and scripts of a distribution end a
// machine: poweroff, reboot, halt, shutdown and telinit.
//
// They ask the server that answers on the socket, which asks process 1. Where no
// server answers, process 1 gets the signal itself, but only if it is zinit: another
// init may take the same signal for something else. With -f nobody is asked and
// nothing is stopped.
//
// A shutdown that is to come later is a process that waits for it; it can be cancelled
// by another one (plan.go). It tells everybody who sits at a terminal (wall.go).
//
// The package knows no services.
package power

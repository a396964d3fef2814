// Package host does what a machine needs around its services when zinit is its
// process 1: before the first, what the kernel leaves to somebody (mounts, host
// name, random seed, loopback); after the last, what has to be put away before the
// power goes (seed, swap, mounts).
//
//	Up      a list of steps, each tried once; what fails is said in one line
//	Down    the way back, with one deadline for all of it
//	Cmdline what the kernel's command line says to process 1
//
// Every step is best effort: no file, file system or device needs to be there, and
// what is there already (an initramfs has mounted it, an engine has) is left alone.
// A disk or a server of a network file system that does not answer holds up a step,
// and never the caller beyond the deadline.
//
// It knows no services and no keeper, forks nothing and needs no other program.
package host

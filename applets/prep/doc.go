// Package prep is the hidden applet that a keeper starts in a service's place when the
// service wants something that only the process itself can change: it changes it and
// executes the service's program in the same process.
//
// What it does comes in a sealed descriptor, and what becomes of it goes back in a pipe
// that the exec closes; neither is left to the program, nor is anything of this
// applet's environment. It promises:
//
//   - The program begins with what was ordered, all of it, or not at all; a refusal
//     names what was refused.
//   - What needs the rights of the keeper is done before the user changes, and limits,
//     which may leave this process itself next to nothing, come after everything that
//     needs memory or descriptors.
//
// It refuses to know what a service is.
package prep

//go:build linux

package pid1

// entry is where the program begins when it is linked with
// "-E zinit/applets/pid1.entry". The Go runtime ends a program that was started
// with a closed standard descriptor and finds no /dev/null, which as process 1 is
// a kernel panic; it looks before any Go code runs. So entry fills the gaps first,
// with the reading end of a pipe that nobody writes to: reading from it is the end
// of the file, and writing fails without a signal. Then it calls hold, where there
// is one, and goes on to where the runtime begins. Without that flag of the linker
// everything works but this.
//
//lint:ignore U1000 the linker refers to it
func entry()

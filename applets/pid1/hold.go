//go:build linux

package pid1

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Go's runtime lets no thread block SIGHUP, SIGINT, SIGQUIT, SIGABRT and SIGTERM, and
// until a program asks for them each one ends it. A keeper that becomes another program
// is open to them for a few milliseconds, as process 1 too. So entry, which runs before
// the runtime, calls hold where it finds a heritage in the environment: it takes those
// that wait, and has further ones handled by onHold, which the runtime calls before it
// gives up: it executes the program again, as it was executed, with the signal waiting.
// Nothing has been touched by then. SIGQUIT and SIGABRT the runtime does not hand on
// once it has begun. On arm and riscv64 there is no hold, and reap has the kernel drop
// those signals while the program is executed.

// What hold finds.
var (
	//lint:ignore U1000 onHold reads it
	holdStack uintptr // as the kernel left it
	//lint:ignore U1000 onHold reads it
	holdName uintptr // the path that was executed
	// heldSignals has bit n for signal n, which came before.
	heldSignals uint64
	// holds: entry has run, and on this machine there is a hold.
	holds uint64
)

//lint:ignore U1000 entry calls it
func hold()

//lint:ignore U1000 it is a signal handler
func onHold()

//lint:ignore U1000 onHold returns to it
func holdReturn()

// handOver gives the signals that waited to who asked for them.
func handOver(c chan<- os.Signal) {
	for _, sig := range []syscall.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGABRT, unix.SIGTERM} {
		if heldSignals&(1<<sig) != 0 {
			c <- sig // there is room: it is the first
		}
	}
}

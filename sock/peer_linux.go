package sock

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who is at the other end.
func peerOf(raw syscall.RawConn) (Peer, error) {
	var peer Peer
	var failed error
	err := raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			failed = peerError(os.NewSyscallError("getsockopt", err))
			return
		}
		peer = Peer{UID: int(cred.Uid), GID: int(cred.Gid), PID: int(cred.Pid)}
		if peer.UID != 0 {
			peer.Groups = peerGroups(int(fd))
		}
	})
	if err != nil {
		return peer, err
	}
	return peer, failed
}

// peerGroups is nil where the kernel does not tell (before 4.13): then only the
// main group counts.
func peerGroups(fd int) []int {
	groups := make([]uint32, 64)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size) > 4*len(groups):
			groups = make([]uint32, size/4)
			continue
		case errno != 0:
			return nil
		}
		list := make([]int, size/4)
		for i := range list {
			list[i] = int(groups[i])
		}
		return list
	}
}

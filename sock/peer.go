package sock

import (
	"fmt"
	"os"
	"slices"
	"syscall"
)

// A Peer is who is at the other end of a connection, as the kernel says; it was
// so when the connection was made.
type Peer struct {
	UID, GID int
	PID      int
	Groups   []int // supplementary groups; nil for root, who needs none
}

// Grant is the rule of access: root and the server's own user may do
// everything, members of the group that the socket file belongs to as well,
// everybody else nothing. The file's mode says the same, but only until
// somebody changes it.
func Grant(path string, peer Peer) Access {
	if peer.UID == 0 || peer.UID == os.Geteuid() {
		return Change
	}
	info, err := os.Lstat(path)
	if err != nil {
		return Nothing // the file is gone, and with it its group
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode().Type() != os.ModeSocket || !peer.in(int(stat.Gid)) {
		return Nothing
	}
	return Change
}

func (p Peer) in(gid int) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

func accessDenied(p Peer) *Error {
	return Refuse(WordAccessDenied,
		"access denied: uid %d is neither root, nor the server's user, nor in the socket's group: join that group or use sudo", p.UID)
}

func peerError(err error) error { return fmt.Errorf("cannot tell who connects: %w", err) }

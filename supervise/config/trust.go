package config

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// rootID is the number of root, as a user and as a group.
const rootID = 0

// distrust tells why what a service file or its directory says may come from
// somebody else than root and the user that we run as; "" when it may not. With it
// comes what to do. It looks at the numbers of st only: for a link those are of
// its target.
func distrust(path string, st fs.FileInfo) string {
	owner, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	mode, us := st.Mode().Perm(), uint32(os.Geteuid())
	switch {
	case owner.Uid != rootID && owner.Uid != us:
		return fmt.Sprintf("belongs to user %d, who can change it: chown root %s", owner.Uid, path)
	case mode&0o002 != 0:
		return fmt.Sprintf("can be changed by everybody (mode %04o): chmod go-w %s", mode, path)
	// A group of the number of its user is that user's own.
	case mode&0o020 != 0 && owner.Gid != rootID && owner.Gid != us:
		return fmt.Sprintf("can be changed by group %d (mode %04o): chmod g-w %s", owner.Gid, mode, path)
	}
	return ""
}

// distrusted is how much that matters: root must not run what others wrote.
func distrusted() Severity {
	if os.Geteuid() == rootID {
		return Error
	}
	return Warning
}

// untrusted is a directory that root does not load: why, and what to do.
type untrusted string

func (u untrusted) Error() string { return "it " + string(u) }

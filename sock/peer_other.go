//go:build !linux

package sock

import (
	"errors"
	"syscall"
)

// peerOf refuses everybody: servers run on Linux only.
func peerOf(syscall.RawConn) (Peer, error) {
	return Peer{}, peerError(errors.ErrUnsupported)
}

package ports

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A socket is one that holds a port, as a line of /proc/net/{tcp,tcp6,udp,udp6}
// tells.
type socket struct {
	proto string // "tcp" or "udp"
	local netip.AddrPort
	inode uint64
}

// The states of /proc/net that hold a port for others: TCP_LISTEN, and TCP_CLOSE,
// which is what a udp socket without a peer shows.
const (
	tcpListens  = "0A"
	udpUnpaired = "07"
)

// sockets reads those tables below root that are there (a kernel may lack IPv6)
// and returns the sockets that hold one of the ports.
func sockets(root string, wanted []uint16) (found []socket, err error) {
	read := 0
	for _, t := range []struct{ file, proto, state string }{
		{"tcp", "tcp", tcpListens}, {"tcp6", "tcp", tcpListens},
		{"udp", "udp", udpUnpaired}, {"udp6", "udp", udpUnpaired},
	} {
		f, openErr := os.Open(root + "/net/" + t.file)
		if openErr != nil {
			err = openErr
			continue
		}
		read++
		found = append(found, table(f, t.proto, t.state, wanted)...)
		f.Close()
	}
	if read > 0 {
		err = nil
	}
	return found, err
}

// table picks the wanted sockets out of one table. A line that is not understood is
// no socket of ours to judge, and is left out.
func table(r io.Reader, proto, state string, wanted []uint16) (found []socket) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != state {
			continue
		}
		local, ok := address(f[1])
		if !ok || !slices.Contains(wanted, local.Port()) {
			continue
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err == nil {
			found = append(found, socket{proto, local, inode})
		}
	}
	return found
}

// address reads "0100007F:1F90": the address in 32-bit words of the machine's byte
// order (little-endian on all that this is built for), the port as a number.
func address(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	b, hexErr := hex.DecodeString(host)
	if !ok || err != nil || hexErr != nil {
		return netip.AddrPort{}, false
	}
	if len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}

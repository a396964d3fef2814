// Package notify hears what services say about themselves: sd_notify datagrams
// (sd_notify(3)) and the line that s6 calls the notification descriptor.
//
// It owns the sockets, their names and rights, the format of a message and who sent
// it as the kernel tells (SO_PASSCRED). It refuses to know services: whether a
// sender may speak for one is judged by whoever reads the Notice.
//
// A socket outlives the server in the hands of the keeper. What is sent while
// nobody reads waits in the kernel (as many datagrams as net.unix.max_dgram_qlen
// allows; then the sender waits), and is read first by the server that takes over:
// Socket.Drain.
//
// Parse is pure. A Socket may be used by several goroutines; one of them serves.
package notify

// Package ports finds out which processes stand in the way of a service: those
// that hold a port it declares, and those whose name it does not suffer beside it.
// It can also end exactly those.
//
// A port is held by whoever listens on it (tcp) or is bound to it without a peer
// (udp), on any address. A connection that lingers in the kernel (TIME_WAIT) is
// nobody's and is in nobody's way.
//
//	Look    the tables of /proc/net and the descriptors of /proc, to Holders
//	Evict   SIGTERM, a while, SIGKILL, by pidfd, so that no stranger who got a
//	        pid anew is ever signalled
//
// It decides nothing about services: who is ours, and therefore not in the way and
// never to be signalled, is told by a function. It reads files and waits, so it is
// not for the event loop. Everything is safe for concurrent use.
package ports

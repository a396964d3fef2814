// Package proxy carries the connections of clients to services that are started when
// the first client comes, and released when the last one has been gone for a while.
//
//	client ── Listener ── accept ── life: cold → starting → warm → stopping ── dial ── backend
//	                                  │ Activate, Release                        │
//	                               Services                          relay: splice, both ways
//
// It owns the listening sockets, the connections and the decision when a service is
// needed and when it is not needed any more. It promises:
//
//   - A connection waits until the service runs and the backend accepts, or until its
//     connect timeout; nobody is refused because the service is down, and a thousand
//     who come at once start it once. One that cannot be served is closed cleanly.
//   - A service is not released under a connection, nor while one waits. Who comes
//     while it is being stopped waits for the next start.
//   - A backend that does not come up is tried again after a pause that doubles; who
//     comes in that pause is turned away at once.
//   - Bytes arrive as they were sent, in order; each end hears of the other's
//     half-close, and of its reset as a reset. Who reads slowly holds up one
//     connection, with a bounded number of bytes.
//   - An idle connection holds two descriptors and no buffer, and nothing wakes up for
//     it.
//   - Lack of descriptors delays connections, and is waited out.
//   - Nothing is removed that is not the socket which this package made.
//
// It refuses to know how services are started and by whom: Services is asked. The life
// of a service here (life.go) is pure and of its own; it knows only whether the service
// is needed.
package proxy

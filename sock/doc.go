// Package sock owns the wire between the server and its clients: framing,
// JSON-RPC 2.0, the shapes and error codes that zinit 0.3.9 froze, access by peer
// credentials, the listening socket, and the Go client.
//
//	listener ── accept ── credentials ── conn: bytes → frames → request → Table → result → bytes
//	                                                                        └─> stream: notifications
//
// It knows no supervisor: whoever serves supplies a Table of methods with their
// handlers, and whoever calls uses Client.
//
// What a server promises:
//   - the first non-blank byte of a frame decides: { or [ is JSON-RPC, and a frame
//     is one complete JSON value, over as many lines as it likes; anything else is
//     a line of text, for Options.Lines (the protocol of zinit 0.2 is in
//     sock/legacy);
//   - requests of one connection are answered strictly in order, each connection
//     on its own goroutine; replies are coalesced while further complete requests
//     are already there;
//   - no client costs the others anything: the size, depth and time of a frame, the
//     size of all together,
//     the time for which a reply may wait to be read, the number of connections
//     and the members of a batch are bounded, and what breaks a bound gets one
//     error line;
//   - a method that streams has its connection for itself: a reply, then
//     notifications, then NoteEnd. A subscriber that does not read is waited for, long
//     but not for ever, and holds up neither the others nor the end of the server;
//   - what a client sends is never trusted, and what cannot be understood leaves
//     the connection usable wherever the next request can still be found.
//
// A Table describes itself: as the OpenRPC document of rpc.discover, and as
// Markdown. Both come from the rows and from the Go types of the results, so that
// they are true as long as the code is.
//
// A Client has a function for every method. Calls that only read are repeated when
// the connection breaks; Events and Follow are sequences that go on over restarts
// of the server.
//
// Only root, the server's own user and the members of the socket's group may
// connect. A member of the group is as good as root: a service runs as anybody.
package sock

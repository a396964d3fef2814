// Package pump moves the output of services from pipes into files.
//
// It owns, per service, one Store: an unframed append-only file into which the
// bytes of the pipes are spliced, and beside it a small file of intents that say
// which stream the bytes from an offset on belong to, and when they came. One
// Pump reads all pipes with one epoll descriptor and one goroutine.
//
//	pipe (stdout) --\  splice at offset = size      NAME.log  bytes, holes at the front
//	pipe (stderr) ---+----------------------------> NAME.idx  {offset, time, stream} each 16 bytes
//	Append (zinit) -/
//
// It promises:
//   - A byte is either in the pipe or in the file, whatever the moment at which
//     the process is killed: one system call takes it from the one and gives it to
//     the other. An intent is written before its bytes; one at or past the end of
//     the file was not carried out.
//   - The offset in the file is the offset in the stream for ever. Old bytes are
//     released by punching holes, so that a store keeps to its cap.
//   - A writer waits only for itself: one turn of a pipe moves at most one
//     pipe-full, and a store that cannot be written discards and counts. A service
//     with a ration of lines loses those above it, whole, and it is said how many.
//   - The last line of a stream that ends without a newline gets one, so that it is
//     a line for every reader for ever. All other bytes are as they were written.
//   - Nothing wakes up while no service writes. Who reads and lags behind (but for
//     the one reader of Hold) costs a writer nothing.
//
// It refuses to know lines, services, configuration and who reads the stores. The
// keeper uses it alone while there is no server (StandIn), so it imports nothing of
// ours and needs no memory to speak of.
package pump

// Package logs keeps what services write: it makes their output pipes, has them
// pumped into stores, derives lines from the stores, appends them to files that it
// rotates, and passes them on. It takes in what is sent to the system log.
//
// It owns the read ends of the pipes and, in its directory, the store of each
// service (package pump). It promises:
//   - What a service wrote before it ended is in Tail when Ended has returned.
//   - Lines are a function of the stored bytes and intents. There is no index of
//     lines in memory; a server that starts anew shows the same lines.
//   - Stdout and stderr are put together separately: a line is never made of
//     pieces of two streams.
//   - A Follower is told every complete line once, also when it goes on at a cursor
//     in the next server. It slows neither the services nor other followers: what
//     is released before it comes to read it is counted.
//   - Pipes, Start, Ended, Discard and Append never wait for a log file's disk. A
//     writer that is faster than its log file waits; a log file that fails loses
//     lines, says how many bytes, and goes on by itself.
//   - A log file, with the old ones that it was rotated into, has every line once,
//     whatever the moment at which the server is killed.
//   - All other ways of lines (stdout, the log of the kernel, the system log) drop for
//     themselves and say how much: nobody waits for them.
//
// It refuses to know why a service runs, and how lines are shown.
package logs

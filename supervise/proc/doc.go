// Package proc reads what the kernel tells about processes in /proc.
//
// It owns the format of /proc/PID/stat, the units in it (clock ticks and pages
// become durations and bytes), and the rules that keep its answers true while
// processes come and go:
//
//   - A process is its pid and its start time. Whoever knows both asks with both
//     (FS.Lookup, Tree.Find), and never gets a later process of the same number.
//   - A parent is not younger than its child. What looks so is two readings of
//     different moments, and no relation.
//   - Threads are no processes.
//   - A /proc of another pid namespace is none: its numbers are not ours.
//
// FS.Lookup reads one process and FS.All reads all of them (about 10 us for each);
// NewTree is pure and says who descends from whom in such a list.
//
// It knows no services, changes nothing and keeps nothing: every answer is read
// when it is asked for. Everything is safe for concurrent use.
package proc

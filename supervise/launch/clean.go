package launch

import (
	"time"

	"zinit/reap/cgroup"
)

// cleanWithin is how long what is killed is waited for: usually it takes a millisecond.
const cleanWithin = 5 * time.Second

// Clean ends every process in the cgroup of a service and calls done, once, when none is
// there; where there are no cgroups, with the next Flush. It comes after what else was
// asked for the service, and waits for the next Flush as that does. Who cannot be ended
// is said in the log, and lives on.
func (l *Launcher) Clean(service string, done func()) {
	l.queue.put(service, func() {
		if l.groups.tree == nil {
			done()
			return
		}
		dir := l.groups.tree.Path(service)
		if lives, err := cgroup.Populated(dir); err == nil && !lives {
			done()
			return
		}
		// It may take a while, and nothing else is asked for the service meanwhile.
		go func() {
			if err := cgroup.End(dir, cleanWithin); err != nil {
				l.log.Warn("what it has left behind lives on", "service", service, "error", err)
			}
			done()
		}()
	})
}

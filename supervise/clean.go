package supervise

import "zinit/supervise/machine"

// A Cleaner ends what is left of a service when nobody is to be there any more.
type Cleaner interface {
	// Clean ends every process in the cgroup of a service, and calls done exactly once,
	// from any goroutine and not before it has returned, when none is there. Where there
	// is no cgroup, or nobody can see or end who is there, it calls done soon, and ends
	// nobody after that. It must not block, and does nothing before the keeper is flushed.
	Clean(service string, done func())
}

// A cleaning is what is to be done when a run is nearly over.
type cleaning struct {
	of    machine.Run // 0: nothing
	begun bool
}

// clean has what hooks and checks have left of a run ended, as soon as the last of
// them has ended itself: it could leave more. Asked again it waits for them no longer.
func (c *core) clean(r *record, run machine.Run) {
	again := r.clean.of == run
	if !again {
		r.clean = cleaning{of: run}
	}
	c.cleanNow(r, again)
}

// cleanNow begins what clean was told, if it is time for that.
func (c *core) cleanNow(r *record, atOnce bool) {
	run := r.clean.of
	switch {
	case run == 0 || r.clean.begun:
	case c.Cleaner == nil || c.alone:
		c.cleaned(r, run)
	case atOnce || !r.hook.alive && !r.probe.alive:
		r.clean.begun = true
		c.Cleaner.Clean(r.name, func() {
			c.Post(func(c *core) {
				if c.byName[r.name] == r {
					c.cleaned(r, run)
				}
			})
		})
	}
}

func (c *core) cleaned(r *record, run machine.Run) {
	if r.clean.of == run {
		r.clean = cleaning{}
	}
	c.step(r, machine.Cleared{Run: run})
	c.settle()
}

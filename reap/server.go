package reap

// Server is the pid of the running server, 0 if there is none, and whether it has said
// that it is ready.
func (k *Keeper) Server() (pid int, ready bool) {
	s := k.current()
	if s == nil {
		return 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit != nil || s.over {
		return 0, false
	}
	return s.pid, s.ready
}

package config

import "reflect"

// NeedsRestart tells whether a process that was started with one configuration must
// be started anew to be as the other one says. Everything counts but what is left
// out of startedWith.
func NeedsRestart(was, is *Service) bool {
	if was == is {
		return false // as of nearly all when a server takes over
	}
	a, b := startedWith(was), startedWith(is)
	return !reflect.DeepEqual(&a, &b)
}

// startedWith is s without all whose change applies while the process runs, or
// decides only whether a start may be.
func startedWith(s *Service) Service {
	t := *s
	t.Name, t.Source, t.Digest, t.Description = "", "", [32]byte{}, ""
	t.Exec = "" // Command counts
	t.NotifyAccess, t.Main, t.RequiresLimits = 0, false, false
	t.ReloadSignal, t.SuccessStatus, t.PreventStatus = 0, Statuses{}, Statuses{}
	t.Hooks = Hooks{StartPre: unwritten(s.Hooks.StartPre), StartPost: unwritten(s.Hooks.StartPost)}
	t.Status, t.Class, t.Critical = 0, 0, false
	t.Ports, t.KillOthers, t.ProcessFilters = nil, false, nil
	t.Requires, t.After, t.Wants, t.Conflicts, t.Awaits = nil, nil, nil, nil, nil
	t.Lifecycle, t.Health, t.Logging, t.Timer = Lifecycle{}, nil, Logging{}, nil
	if s.Lifecycle.OwnsGroup() {
		t.Lifecycle.KillMode = KillProcess // any one value
	}
	t.Env = append([]string{}, t.Env...) // nil is as good as empty
	return t
}

// unwritten is hooks without how they were written.
func unwritten(hooks []Hook) []Hook {
	var bare []Hook
	for _, h := range hooks {
		h.Line = ""
		bare = append(bare, h)
	}
	return bare
}

// OwnsGroup reports that the processes which the main process leaves behind are
// ended with it.
func (l *Lifecycle) OwnsGroup() bool { return l.KillMode != KillProcess }

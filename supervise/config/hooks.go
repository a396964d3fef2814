package config

// Hooks is the exec_* keys: commands that are run around the main process, one
// after the other.
type Hooks struct {
	StartPre, StartPost, Stop, StopPost, Reload []Hook
}

// A Hook is one of these commands.
type Hook struct {
	Line          string // as written, without the - in front
	Command       Command
	IgnoreFailure bool
}

// pending is a command that is split when all keys are read: where programs are
// found depends on the service's variables.
type pending struct {
	key  string
	line int
	hook *Hook
}

// hooks takes command lines.
func (v value) hooks() []Hook {
	lines := v.lines()
	if len(lines) == 0 {
		return nil
	}
	hooks := make([]Hook, len(lines))
	for i, e := range lines {
		h := &hooks[i]
		h.Line, h.IgnoreFailure = marked(e.entry.value.(string))
		v.file.hooks = append(v.file.hooks, pending{v.key, e.entry.line, h})
	}
	return hooks
}

// inHooks is what hooks takes.
func inHooks(hooks []Hook) any {
	var lines []string
	for _, h := range hooks {
		lines = append(lines, withMark(h.Line, h.IgnoreFailure))
	}
	return lines
}

// splitHooks completes the commands of a service.
func (f *file) splitHooks(s *Service) {
	for _, p := range f.hooks {
		c, err := SplitCommandWith(p.hook.Line, foundWith(s.Env))
		if err != nil {
			f.report(Error, p.line, p.key, "%v", err)
		}
		p.hook.Command = c
	}
}

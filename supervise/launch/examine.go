package launch

import (
	"errors"
	"sync"

	"zinit/supervise/config"
)

// Findings is what was found wrong with services before they were started. It is safe
// for concurrent use.
type findings struct {
	mu    sync.Mutex
	unfit map[*config.Service]string // guarded by mu
}

// maxFindings bounds them: those of services that are gone are forgotten together.
const maxFindings = 1 << 14

// Examine finds out which services cannot be started, without starting them. It reads
// files and may be called from any goroutine.
func (l *Launcher) Examine(list []*config.Service) {
	for _, s := range list {
		if s.Target || len(s.Command.Argv) == 0 {
			continue
		}
		err := l.examine(s)
		l.findings.mu.Lock()
		switch {
		case err == nil:
			delete(l.findings.unfit, s)
		case len(l.findings.unfit) >= maxFindings || l.findings.unfit == nil:
			l.findings.unfit = map[*config.Service]string{s: err.Error()}
		default:
			l.findings.unfit[s] = err.Error()
		}
		l.findings.mu.Unlock()
	}
}

// Unfit is why a service cannot be started, as Examine has found out; empty: nothing
// was found. It does not block and may be called from any goroutine.
func (l *Launcher) Unfit(s *config.Service) string {
	l.findings.mu.Lock()
	defer l.findings.mu.Unlock()
	return l.findings.unfit[s]
}

// examine looks up what does not change anything.
func (l *Launcher) examine(s *config.Service) error {
	_, _, _, err := l.lookUp(&Order{Key: s.Name, Service: s, Command: s.Command})
	return err
}

// lookUp finds whom an order's process is to run as, its environment and its file.
func (l *Launcher) lookUp(o *Order) (who identity, env []string, path string, err error) {
	if who, err = l.users.resolve(o.Service.Identity, l.uid); err != nil {
		return who, nil, "", err
	}
	if env, err = l.environment(o, who); err != nil {
		return who, nil, "", err
	}
	if err = checkDir(o.Service.Dir); err != nil {
		return who, nil, "", err
	}
	path, err = config.LookPath(o.Command.Argv[0], env, o.Service.Dir)
	if err != nil && o.Command.Shell {
		err = errors.New(config.ShellMissing(o.Command))
	}
	return who, env, path, err
}

package supervise

import (
	"errors"
	"strings"

	"zinit/reap"
	"zinit/supervise/config"
)

// An errand is one process to be started for a service: its main process, a
// command of a hook, a check of its health.
type errand struct {
	key     string
	run     uint64
	command config.Command
	env     []string // on top of the service's
	guest   bool     // it only enters the service's surroundings
}

// spec is all that the keeper needs to start an errand in the surroundings of a
// service. Its output is for the caller to add.
func (c *core) spec(r *record, e errand) (reap.Spec, error) {
	env := r.environ(c.Environ)
	path, err := c.Resolve(e.command.Argv[0], env, r.cfg.Dir)
	if err != nil {
		if e.command.Shell {
			return reap.Spec{}, errors.New(config.ShellMissing(e.command))
		}
		return reap.Spec{}, err
	}
	if len(e.env) > 0 {
		env = append(env[:len(env):len(env)], e.env...)
	}
	return reap.Spec{
		Key: e.key, Run: e.run,
		Path: path, Argv: e.command.Argv, Env: env, Dir: r.cfg.Dir,
		Group: e.guest || r.cfg.Lifecycle.OwnsGroup(), Guest: e.guest,
	}, nil
}

// spawn asks the keeper for the main process of a run.
func (c *core) spawn(r *record, run uint64) error {
	e := errand{key: r.name, run: run, command: r.cfg.Command}
	voice, err := c.openEars(r, run)
	if err != nil {
		return err
	}
	e.env = voice.Env
	spec, err := c.spec(r, e)
	if err != nil {
		return err
	}
	pipes, err := c.Logs.Pipes(r.name, run)
	if err != nil {
		return err
	}
	spec.Stdout, spec.Stderr, spec.Keep, spec.Files = pipes.Stdout, pipes.Stderr, pipes.Keep, voice.Files
	c.Keeper.Spawn(spec)
	return nil
}

// environ is the record's whole environment: the server's, and its own on top.
func (r *record) environ(base []string) []string {
	if len(r.cfg.Env) == 0 {
		return base
	}
	if r.env == nil {
		own := map[string]bool{}
		for _, kv := range r.cfg.Env {
			k, _, _ := strings.Cut(kv, "=")
			own[k] = true
		}
		env := make([]string, 0, len(base)+len(r.cfg.Env))
		for _, kv := range base {
			if k, _, _ := strings.Cut(kv, "="); !own[k] {
				env = append(env, kv)
			}
		}
		r.env = append(env, r.cfg.Env...)
	}
	return r.env
}

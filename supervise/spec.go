package supervise

import (
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/machine"
)

// order is a process to be started in the surroundings of a service. What it writes
// into is for the caller to add.
func (r *record) order(key string, run uint64, command config.Command) launch.Order {
	return launch.Order{Key: key, Run: run, Service: r.cfg, Command: command, Guest: key != r.name}
}

// startMark stands before the output of each run where that is asked for, in the words
// of zinit 0.2.
const startMark = "------------ [start] ------------"

// spawn asks the keeper for the main process of a run.
func (c *core) spawn(r *record, run uint64) error {
	voice, err := c.openEars(r, run)
	if err != nil {
		return err
	}
	for _, f := range voice.Files {
		defer f.Close() // the launcher has copies
	}
	if r.m.Rules.Attends { // it listens, and that is all
		c.step(r, machine.Spawned{Run: machine.Run(run)})
		c.settle()
		return nil
	}
	pipes, err := c.Logs.Pipes(r.name, run)
	if err != nil {
		return err
	}
	o := r.order(r.name, run, r.cfg.Command)
	o.Env, o.Files = voice.Env, voice.Files
	o.Stdout, o.Stderr, o.Keep = pipes.Stdout, pipes.Stderr, pipes.Keep
	if r.cfg.Logging.MarkStarts {
		c.Logs.Append(r.name, startMark)
	}
	c.Keeper.Spawn(o)
	return nil
}

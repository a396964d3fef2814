package supervise

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// hookSuffix makes the key of a service's hooks from its name.
const hookSuffix = "/hook"

// hookRuns is added to the run numbers of hooks where those of the main process
// are meant: their output goes into the same log, and no main process has such
// numbers.
const hookRuns = 1 << 62

// A hooking is the hook of a service that is under way: its commands run one
// after the other, each as a process with the service's surroundings.
type hooking struct {
	last  uint64 // highest run number of the hooks' own key
	alive bool   // its process has not been seen to end
	// ended: that process was killed, and is only waited for.
	ended bool

	kind machine.Hook // NoHook: none is under way
	of   machine.Run
	list []config.Hook
	at   int // in list: the command that runs or is to run next
	// deadline is when the process is ended, or, if it was, no longer waited for.
	deadline time.Time
	timeout  time.Duration
}

// hooksOf lists the commands of a hook.
func hooksOf(s *config.Service, h machine.Hook) []config.Hook {
	switch h {
	case machine.ExecStartPre:
		return s.Hooks.StartPre
	case machine.ExecStartPost:
		return s.Hooks.StartPost
	case machine.ExecReload:
		return s.Hooks.Reload
	case machine.ExecStop:
		return s.Hooks.Stop
	case machine.ExecStopPost:
		return s.Hooks.StopPost
	}
	return nil
}

// runHooks begins a hook.
func (c *core) runHooks(r *record, a machine.RunHooks) {
	h := &r.hook
	h.kind, h.of, h.list, h.at, h.timeout = a.Hook, a.Run, hooksOf(r.cfg, a.Hook), 0, r.cfg.Lifecycle.HookTimeout
	c.nextHook(r)
}

// nextHook runs the next command, or ends the hook after the last one. While a
// killed one has not ended, it waits: at most one process of a key.
func (c *core) nextHook(r *record) {
	h := &r.hook
	switch {
	case h.at >= len(h.list):
		c.hookDone(r, "", 0)
		return
	case c.alone:
		c.hookDone(r, "the keeper is gone", 0)
		return
	case h.alive:
		h.deadline = c.now.Add(machine.StuckAfter)
		c.setWake(r)
		return
	}
	if err := c.spawnHook(r); err != nil {
		c.hookOver(r, err)
		return
	}
	h.alive, h.ended, h.deadline = true, false, c.now.Add(h.timeout)
	c.setWake(r)
	c.unsaved(r)
}

func (c *core) spawnHook(r *record) error {
	h := &r.hook
	o := r.order(r.name+hookSuffix, h.last+1, h.list[h.at].Command)
	stdout, stderr, err := c.guestPipes(r, hookRuns+o.Run)
	if err != nil {
		return err
	}
	h.last++
	o.Env, o.Stdout, o.Stderr = r.hookEnv(), stdout, stderr
	c.Keeper.Spawn(o)
	return nil
}

// guestPipes are the output pipes of a process beside the main one, which writes into
// the same log.
func (c *core) guestPipes(r *record, run uint64) (stdout, stderr *os.File, err error) {
	pipes, err := c.Logs.Pipes(r.name, run)
	if err != nil {
		return nil, nil, err
	}
	for i, f := range pipes.Keep {
		if f == nil {
			continue
		}
		if err := c.Keeper.Keep(reap.OutputName(r.name, run, i+1), f); err != nil {
			c.Log.Warn("what a process writes does not outlive the server", "service", r.name, "error", err)
		}
	}
	return pipes.Stdout, pipes.Stderr, nil
}

// hookEnv tells a hook of the run that it is for.
func (r *record) hookEnv() (env []string) {
	if r.pid != 0 && r.m.Main() {
		env = append(env, "MAINPID="+strconv.Itoa(r.pid))
	}
	st, stopping := r.m.State.(machine.Stopping)
	if !stopping {
		return env
	}
	env = append(env, "SERVICE_RESULT="+result(st.Why))
	if o := st.Outcome; st.Gone && !o.Unknown {
		how, status := "exited", strconv.Itoa(o.Code)
		if o.Signal != 0 {
			how, status = "killed", strings.TrimPrefix(config.SignalName(o.Signal), "SIG")
		}
		env = append(env, "EXIT_CODE="+how, "EXIT_STATUS="+status)
	}
	return env
}

// result is the word that systemd has for a cause.
func result(why machine.Cause) string {
	switch {
	case !why.Failure():
		return "success"
	case why.Kind == machine.WatchdogTimeout:
		return "watchdog"
	case why.Kind == machine.StartTimeout, why.Kind == machine.HookFailed && why.After > 0:
		return "timeout"
	case why.Kind == machine.SpawnError:
		return "resources"
	case why.Kind == machine.Unready, why.Kind == machine.NoMain:
		return "protocol"
	case why.Kind == machine.Ended && why.Outcome.OOM:
		return "oom-kill"
	case why.Kind == machine.Ended && why.Outcome.Signal != 0:
		return "signal"
	}
	return "exit-code"
}

// hookDue ends a command that took too long, with everything it started, and the
// wait for one that was ended and does not go.
func (c *core) hookDue(r *record) {
	h := &r.hook
	if h.deadline.IsZero() || h.deadline.After(c.now) {
		return
	}
	if h.ended {
		c.hookDone(r, "the command before has not ended", 0)
		return
	}
	c.killHook(r)
	c.hookFailed(r, "timed out after "+h.timeout.String(), h.timeout)
}

// killHook ends the process of a hook with its group.
func (c *core) killHook(r *record) {
	h := &r.hook
	c.Keeper.Signal(r.name+hookSuffix, h.last, syscall.SIGKILL, reap.ScopeGroup)
	h.ended, h.deadline = true, time.Time{}
	c.setWake(r)
}

// endHooks gives up the hook that is under way.
func (c *core) endHooks(r *record) {
	h := &r.hook
	h.kind, h.list = machine.NoHook, nil
	if h.alive && !h.ended {
		c.killHook(r)
	}
	h.deadline = time.Time{}
	c.setWake(r)
}

// hookOver takes in the end of a hook's process, or that there is none.
func (c *core) hookOver(r *record, err error) {
	h := &r.hook
	ended := h.ended
	h.alive, h.ended, h.deadline = false, false, time.Time{}
	c.setWake(r)
	c.cleanNow(r, false)
	switch {
	case h.kind == machine.NoHook:
	case ended:
		c.nextHook(r) // what it waited for is gone
	case err != nil:
		c.hookFailed(r, err.Error(), 0)
	default:
		h.at++
		c.nextHook(r)
	}
}

// hookFailed goes on after a command that failed, if that does not count.
func (c *core) hookFailed(r *record, why string, timedOut time.Duration) {
	h := &r.hook
	if h.at >= len(h.list) { // another configuration took its commands away
		c.hookDone(r, why, timedOut)
		return
	}
	cmd := h.list[h.at]
	why = cmd.Line + ": " + why
	if cmd.IgnoreFailure {
		c.Log.Debug("a hook failed, which is ignored", "service", r.name, "hook", h.kind, "why", why)
		h.at++
		c.nextHook(r)
		return
	}
	c.hookDone(r, why, timedOut)
}

// hookDone ends a hook. That one failed which decides nothing is said here.
func (c *core) hookDone(r *record, failed string, timedOut time.Duration) {
	h := &r.hook
	done := machine.HooksDone{Run: h.of, Hook: h.kind, Err: failed, TimedOut: timedOut}
	h.kind, h.list, h.deadline = machine.NoHook, nil, time.Time{}
	c.setWake(r)
	// A failed start says itself why.
	if failed != "" && done.Hook != machine.ExecStartPre && done.Hook != machine.ExecStartPost {
		text := done.Hook.String() + " failed: " + failed
		c.Log.Warn("hook failed", "service", r.name, "hook", done.Hook, "why", failed)
		c.later(func() { c.Logs.Append(r.name, text) })
	}
	c.step(r, done)
	c.settle()
}

// hookEvent takes in what the keeper says about a hook's process.
func (c *core) hookEvent(service string, ev reap.Event) {
	r := c.byName[service]
	switch e := ev.(type) {
	case reap.Spawned:
		c.Logs.Start(service, hookRuns+e.Run)
	case reap.SpawnFailed:
		c.Logs.Discard(service, hookRuns+e.Run)
		if r != nil && e.Run == r.hook.last {
			c.hookOver(r, errors.New(SpawnError(r.hook.command(), e)))
		}
	case reap.Exited:
		c.hookExited(r, service, e)
	}
}

// command is the one that runs.
func (h *hooking) command() config.Command {
	if h.at < len(h.list) {
		return h.list[h.at].Command
	}
	return config.Command{}
}

// hookExited takes in the end of a command. It is not acknowledged: the keeper
// goes on knowing how it ended, and tells the next server.
func (c *core) hookExited(r *record, service string, e reap.Exited) {
	c.endLog(service, hookRuns+e.Run)
	if e.Lingers {
		c.Keeper.Signal(e.Key, e.Run, syscall.SIGKILL, reap.ScopeGroup)
	}
	switch {
	case r == nil:
		c.Keeper.Ack(e.Key, e.Run)
	case e.Run != r.hook.last || !r.hook.alive:
	case e.Status.Success():
		c.hookOver(r, nil)
	default:
		c.hookOver(r, errors.New(e.Status.String()))
	}
}

// A hookMemo is what is written down of a hook that is under way.
type hookMemo struct {
	Run      uint64 `json:"run"` // of the key of hooks
	At       int    `json:"at,omitempty"`
	Ended    bool   `json:"ended,omitempty"`
	Deadline int64  `json:"deadline,omitempty"`
}

func (h *hooking) memo(clock machine.Clock) *hookMemo {
	if h.kind == machine.NoHook {
		return nil
	}
	return &hookMemo{h.last, h.at, h.ended, clock.Nanos(h.deadline)}
}

// recall gives a record the hook that was under way, as far as is known.
func (m *hookMemo) recall(r *record, clock machine.Clock) {
	kind := r.m.Hook()
	if m == nil || kind == machine.NoHook {
		return
	}
	r.hook = hooking{
		last: m.Run, ended: m.Ended, kind: kind, of: r.m.Run(), list: hooksOf(r.cfg, kind), at: max(m.At, 0),
		deadline: clock.Time(m.Deadline), timeout: r.cfg.Lifecycle.HookTimeout,
	}
}

// takeUpHook goes on with the hook that an earlier server ran: asked is the highest
// run of its key, child and exit are what the keeper has of it.
func (c *core) takeUpHook(r *record, asked uint64, child reap.Child, exit reap.Exited) {
	h := &r.hook
	ran := h.last
	h.last = max(ran, asked)
	h.alive = child.Key != "" && !child.MainGone
	if !h.alive && h.last > 0 {
		c.endLog(r.name, hookRuns+h.last)
	}
	wanted := h.kind != machine.NoHook && !h.ended && child.Run == ran
	if child.Key != "" && (child.MainGone || !wanted) {
		c.Keeper.Signal(child.Key, child.Run, syscall.SIGKILL, reap.ScopeGroup)
		h.ended = h.alive
	}
	switch under := r.m.Hook(); {
	case under == machine.NoHook:
	case h.kind == machine.NoHook:
		// It was decided upon, and not begun.
		c.orders = append(c.orders, order{r, machine.RunHooks{Run: r.m.Run(), Hook: under}})
	case h.alive && wanted:
		c.setWake(r)
	case h.ended || ran > asked || ran == 0:
		h.ended = h.alive
		c.nextHook(r)
	case exit.Run == ran && exit.Status.Success():
		c.hookOver(r, nil)
	case exit.Run == ran:
		c.hookOver(r, errors.New(exit.Status.String()))
	default:
		c.hookOver(r, errors.New("how it ended is not known: the server ended meanwhile"))
	}
}

// hookOf splits the key of a hook into the service that it is for.
func hookOf(key string) (service string, ok bool) {
	return strings.CutSuffix(key, hookSuffix)
}

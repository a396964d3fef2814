package machine

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// epoch is when every test begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is a moment of a test.
func at(d time.Duration) time.Time { return epoch.Add(d) }

// moment is how long after the beginning t is.
func moment(t time.Time) string { return t.Sub(epoch).String() }

// plain are the rules that tests begin with: what crashes is tried again after
// 200, 400, 800 and 1000 ms and is then given up.
func plain(change ...func(*Rules)) *Rules {
	r := &Rules{
		Policy: OnFailure, Delay: 200 * time.Millisecond, DelayMax: time.Second,
		MaxRestarts: 4, Stability: 10 * time.Second,
		StartTimeout: 30 * time.Second, StopTimeout: 2 * time.Second,
		StopSignal: syscall.SIGTERM, StopScope: Group, KillScope: Group,
		ReloadSignal: syscall.SIGHUP,
	}
	for _, f := range change {
		f(r)
	}
	return r
}

// checked adds a health check to the rules.
func checked(r *Rules) { r.Health = &Health{Interval: time.Second, Retries: 3} }

func target(r *Rules) { r.Target = true }
func hooked(r *Rules) {
	r.Hooks = Hooks(0).With(ExecStartPre).With(ExecStartPost).With(ExecReload).With(ExecStop).With(ExecStopPost)
}
func notify(r *Rules)  { r.Readiness, r.Watchdog = ByNotice, 5*time.Second }
func forking(r *Rules) { r.Readiness = ByFork }
func remain(r *Rules)  { r.Oneshot, r.Remain, r.Policy = true, true, Never }

func oneshot(r *Rules) { r.Oneshot, r.Policy = true, Never }

// describe puts a service into words: its state with all that the state holds,
// then, in brackets, what it is told from outside.
func describe(s Service) string {
	text := s.State.String()
	add := func(format string, args ...any) { text += fmt.Sprintf(format, args...) }
	if s.Run() != 0 {
		add(" run %d", s.Run())
	}
	switch st := s.State.(type) {
	case Starting:
		add("%s", map[Stage]string{Preparing: ", prepares", Prepared: ", prepared", Coming: ", coming", Finding: ", looks for its main process", Checking: ", up", Finishing: ", finishes"}[st.Stage])
		if st.Told {
			add(", told")
		}
		if st.Empty {
			add(", nothing left")
		}
		if !st.ReadyBy.IsZero() {
			add(", ready by %s", moment(st.ReadyBy))
		}
		text += describeProbing(st.Probe)
	case Running:
		add(" since %s", moment(st.Since))
		if st.Unhealthy {
			add(", unhealthy")
		}
		if !st.WatchdogAt.IsZero() {
			add(", watchdog at %s", moment(st.WatchdogAt))
		}
		if st.Reloading {
			add(", reloads")
		}
		if st.Leaving {
			add(", leaves")
		}
		if st.Hook != NoHook {
			add(", %s runs", st.Hook)
		}
		describeGone(add, st.Gone, st.Empty, st.Outcome)
		text += describeProbing(st.Probe)
	case Stopping:
		add(" (%s)", st.Why)
		if !st.KillAt.IsZero() {
			add(", kill at %s", moment(st.KillAt))
		}
		if st.Hook != NoHook {
			add(", %s runs", st.Hook)
		}
		if st.Clearing {
			add(", what hooks left is ended")
		}
		if st.Finding {
			add(", looks for its main process")
		}
		describeGone(add, st.Gone, st.Empty, st.Outcome)
		if st.Again {
			add(", then again")
		}
		if s.Stuck() {
			add(", stuck")
		}
	case Exited:
		add(" (%s)", st.Outcome)
		if st.Stopped {
			add(", as told")
		}
	case Failed:
		add(" (%s)", st.Why)
	}
	if d := s.RestartAt(); !d.IsZero() {
		add(", restart at %s", moment(d))
	}
	if strings.Contains(s.Reason(), "given up") {
		add(", given up")
	}
	return text + " [" + describeOrders(s) + "]"
}

func describeGone(add func(string, ...any), gone, empty bool, o Outcome) {
	switch {
	case empty:
		add(", nothing left: %s", o)
	case gone:
		add(", main process gone: %s", o)
	}
}

func describeProbing(p Probing) string {
	text := ""
	if !p.At.IsZero() {
		text += ", probe at " + moment(p.At)
	}
	if p.Failures > 0 {
		text += fmt.Sprintf(", failures %d", p.Failures)
	}
	if p.LastErr != "" {
		text += fmt.Sprintf(", %q", p.LastErr)
	}
	return text
}

func describeOrders(s Service) string {
	words := []string{"dropped"}
	if s.Want {
		words[0] = "wanted"
	}
	switch {
	case s.Broken:
		words = append(words, "broken")
	case s.Perm == Go:
		words = append(words, "may start")
	case s.Perm == Hold && s.On != "":
		words = append(words, "waits for "+s.On)
	case s.Perm == Hold:
		words = append(words, "waits")
	case s.Perm == Lost:
		words = append(words, "lost "+s.On)
	}
	return strings.Join(words, ", ")
}

func describeActions(actions []Action) string {
	var words []string
	for _, a := range actions {
		switch a := a.(type) {
		case Spawn:
			words = append(words, fmt.Sprintf("SPAWN run %d", a.Run))
		case Probe:
			words = append(words, fmt.Sprintf("PROBE run %d", a.Run))
		case FindMain:
			words = append(words, fmt.Sprintf("FIND the main process of run %d", a.Run))
		case RunHooks:
			words = append(words, fmt.Sprintf("RUN %s of run %d", a.Hook, a.Run))
		case Clear:
			words = append(words, fmt.Sprintf("CLEAR what is left of run %d", a.Run))
		case EndHooks:
			words = append(words, fmt.Sprintf("END the hook of run %d", a.Run))
		case Signal:
			scope := [...]string{"main process", "group", "cgroup"}[a.Scope]
			words = append(words, fmt.Sprintf("%s to the %s of run %d", signalWord(a.Sig), scope, a.Run))
		}
	}
	return strings.Join(words, "; ")
}

func signalWord(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGTERM:
		return "TERM"
	case syscall.SIGINT:
		return "INT"
	case syscall.SIGKILL:
		return "KILL"
	case syscall.SIGABRT:
		return "ABRT"
	case syscall.SIGHUP:
		return "HUP"
	}
	return fmt.Sprintf("signal %d", int(sig))
}

// live is a service that lives through a test.
type live struct {
	Service
	now time.Time
}

func begin(r *Rules) *live { return &live{New(r), epoch} }

// after lets d pass, with a tick at every deadline on the way, and returns the
// actions.
func (l *live) after(d time.Duration) []Action {
	end := l.now.Add(d)
	var all []Action
	for {
		due := l.Deadline()
		if due.IsZero() || due.After(end) {
			break
		}
		if due.After(l.now) {
			l.now = due
		}
		all = append(all, l.give(Ticked{})...)
		if next := l.Deadline(); !next.IsZero() && !next.After(l.now) {
			panic("a tick at the deadline leaves it where it was: " + describe(l.Service))
		}
	}
	l.now = end
	return all
}

// give applies events and returns the actions.
func (l *live) give(events ...Event) []Action {
	var all []Action
	for _, ev := range events {
		var actions []Action
		l.Service, actions = Step(l.Service, ev, l.now)
		all = append(all, actions...)
	}
	return all
}

// up brings a service to Running.
func (l *live) up() *live {
	l.give(Wanted{}, DepsMet{})
	l.hookEnds("")
	l.give(Spawned{Run: l.Run()})
	switch l.Rules.Readiness {
	case ByNotice:
		l.give(Notified{Run: l.Run(), Ready: true})
	case ByFork:
		l.give(ProcessGone{Run: l.Run()}, MainFound{Run: l.Run()})
	}
	if l.Rules.Health != nil && l.Run() != 0 {
		l.after(l.Rules.Health.StartPeriod)
		l.give(Probed{Run: l.Run()})
	}
	l.hookEnds("")
	return l
}

// hookEnds ends the hook that is under way.
func (l *live) hookEnds(err string) []Action {
	if l.Hook() == NoHook {
		return nil
	}
	return l.give(HooksDone{Run: l.Run(), Hook: l.Hook(), Err: err})
}

// ends has the main process exit with a code.
func (l *live) ends(code int) []Action {
	return l.give(ProcessGone{Run: l.Run(), Outcome: Outcome{Code: code}})
}

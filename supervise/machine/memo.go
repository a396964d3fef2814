package machine

import (
	"fmt"
	"syscall"
	"time"
)

// A Memo is what is written down of a Service, as JSON: for the server that takes
// over. Names are short because it is written with every transition, and never
// change their meaning; a memo of another version may lack some or have others.
// Moments are nanoseconds of the clock that it was made with; 0 is none.
type Memo struct {
	State string `json:"state"`
	Run   uint64 `json:"run,omitempty"`

	Want   bool       `json:"want,omitempty"`
	Perm   Perm       `json:"perm,omitempty"`
	On     string     `json:"on,omitempty"`
	Broken bool       `json:"broken,omitempty"`
	Fault  *causeMemo `json:"fault,omitempty"`

	Last    uint64        `json:"last,omitempty"`
	Started int64         `json:"started,omitempty"`
	Delay   time.Duration `json:"delay,omitempty"`
	Quick   int           `json:"quick,omitempty"`
	Total   int           `json:"total,omitempty"`
	Guests  bool          `json:"guests,omitempty"`

	Up        bool          `json:"up,omitempty"`
	Stage     string        `json:"stage,omitempty"` // none: see stageOut
	Told      bool          `json:"told,omitempty"`
	ReadyBy   int64         `json:"ready_by,omitempty"`
	Probe     *probingMemo  `json:"probe,omitempty"`
	Since     int64         `json:"since,omitempty"`
	Unhealthy bool          `json:"unhealthy,omitempty"`
	Watchdog  int64         `json:"watchdog_at,omitempty"`
	Period    time.Duration `json:"watchdog_period,omitempty"`
	Reloading bool          `json:"reloading,omitempty"`
	Leaving   bool          `json:"leaving,omitempty"`
	Hook      Hook          `json:"hook,omitempty"`
	Why       *causeMemo    `json:"why,omitempty"`
	KillAt    int64         `json:"kill_at,omitempty"`
	Kills     int           `json:"kills,omitempty"`
	Gone      bool          `json:"gone,omitempty"`
	Empty     bool          `json:"empty,omitempty"`
	Finding   bool          `json:"finding,omitempty"`
	Clearing  bool          `json:"clearing,omitempty"`
	Outcome   *outcomeMemo  `json:"outcome,omitempty"`
	Again     bool          `json:"again,omitempty"`
	At        int64         `json:"at,omitempty"`
	RestartAt int64         `json:"restart_at,omitempty"`
	Stopped   bool          `json:"stopped,omitempty"`
	GivenUp   bool          `json:"given_up,omitempty"`
}

type outcomeMemo struct {
	Code    int  `json:"code,omitempty"`
	Signal  int  `json:"signal,omitempty"`
	Unknown bool `json:"unknown,omitempty"`
	OOM     bool `json:"oom,omitempty"`
	Counts  bool `json:"counts,omitempty"`
}

type causeMemo struct {
	Kind    CauseKind     `json:"kind"`
	Outcome *outcomeMemo  `json:"outcome,omitempty"`
	Count   int           `json:"count,omitempty"`
	After   time.Duration `json:"after,omitempty"`
	Name    string        `json:"name,omitempty"`
	Text    string        `json:"text,omitempty"`
	Lasting bool          `json:"lasting,omitempty"`
}

type probingMemo struct {
	At       int64         `json:"at,omitempty"`
	Failures int           `json:"failures,omitempty"`
	CountAt  int64         `json:"count_at,omitempty"`
	Gap      time.Duration `json:"gap,omitempty"`
	LastErr  string        `json:"last_err,omitempty"`
}

// A Clock turns moments into nanoseconds that another process understands, and
// back: of a clock that runs on while no server is there and does not jump.
type Clock struct {
	Nanos func(time.Time) int64 // of a moment that is not zero
	Time  func(int64) time.Time
}

func (c Clock) nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return c.Nanos(t)
}

func (c Clock) time(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return c.Time(n)
}

// Memo writes the service down. Its rules are left out: they are the
// configuration's.
func (s *Service) Memo(clock Clock) Memo {
	m := Memo{
		State: s.State.String(), Run: uint64(s.Run()),
		Want: s.Want, Perm: s.Perm, On: s.On, Broken: s.Broken,
		Last: uint64(s.Last), Started: clock.nanos(s.Started), Delay: s.Delay, Quick: s.Quick, Total: s.Total,
		Guests: s.Guests,
	}
	if s.Fault != (Cause{}) {
		m.Fault = causeOut(s.Fault)
	}
	switch st := s.State.(type) {
	case Starting:
		m.Up, m.Stage = stageOut(st.Stage)
		m.ReadyBy, m.Probe = clock.nanos(st.ReadyBy), st.Probe.out(clock)
		m.Told, m.Empty = st.Told, st.Empty
	case Running:
		m.Since, m.Unhealthy, m.Probe = clock.nanos(st.Since), st.Unhealthy, st.Probe.out(clock)
		m.Watchdog, m.Period, m.Reloading, m.Leaving = clock.nanos(st.WatchdogAt), st.Period, st.Reloading, st.Leaving
		m.Hook, m.Gone, m.Empty, m.Outcome = st.Hook, st.Gone, st.Empty, outcomeOut(st.Outcome)
	case Stopping:
		m.Why, m.Since, m.KillAt, m.Kills = causeOut(st.Why), clock.nanos(st.Since), clock.nanos(st.KillAt), st.Kills
		m.Hook, m.Gone, m.Empty, m.Outcome = st.Hook, st.Gone, st.Empty, outcomeOut(st.Outcome)
		m.Finding, m.Clearing, m.Again = st.Finding, st.Clearing, st.Again
		// A server that does not know of it takes the run for over when it finds nobody.
		m.Empty = st.Empty && !st.Clearing
	case Exited:
		m.Outcome, m.At, m.RestartAt = outcomeOut(st.Outcome), clock.nanos(st.At), clock.nanos(st.RestartAt)
		m.Stopped, m.GivenUp = st.Stopped, st.GivenUp
	case Failed:
		m.Why, m.At, m.RestartAt, m.GivenUp = causeOut(st.Why), clock.nanos(st.At), clock.nanos(st.RestartAt), st.GivenUp
	}
	return m
}

// Service is the service that was written down, with the rules that the
// configuration has now. An error says that it is of a state that cannot be.
func (m *Memo) Service(rules *Rules, clock Clock) (Service, error) {
	s := Service{
		Rules: rules, Want: m.Want, Perm: m.Perm, On: m.On, Broken: m.Broken, Fault: m.Fault.in(),
		Last: Run(m.Last), Started: clock.time(m.Started), Delay: m.Delay, Quick: m.Quick, Total: m.Total,
		Guests: m.Guests,
	}
	run := Run(m.Run)
	switch m.State {
	case Inactive{}.String():
		s.State = Inactive{}
	case Blocked{}.String():
		s.State = Blocked{}
	case Starting{}.String():
		s.State = Starting{
			Run: run, Stage: stageIn(m.Up, m.Stage), ReadyBy: clock.time(m.ReadyBy), Probe: m.Probe.in(clock),
			Told: m.Told, Empty: m.Empty,
		}
	case Running{}.String():
		s.State = Running{
			Run: run, Since: clock.time(m.Since), Unhealthy: m.Unhealthy, Probe: m.Probe.in(clock),
			WatchdogAt: clock.time(m.Watchdog), Period: m.Period, Reloading: m.Reloading, Leaving: m.Leaving,
			Hook: m.Hook, Gone: m.Gone, Empty: m.Empty, Outcome: m.Outcome.in(),
		}
	case Stopping{}.String():
		s.State = Stopping{
			Run: run, Why: m.Why.in(), Since: clock.time(m.Since), KillAt: clock.time(m.KillAt), Kills: m.Kills,
			Hook: m.Hook, Gone: m.Gone, Empty: m.Empty, Outcome: m.Outcome.in(), Finding: m.Finding, Again: m.Again,
		}
		if m.Clearing && m.Gone {
			st := s.State.(Stopping)
			st.Clearing, st.Empty = true, true
			s.State = st
		}
	case Exited{}.String():
		s.State = Exited{
			Outcome: m.Outcome.in(), At: clock.time(m.At), RestartAt: clock.time(m.RestartAt),
			Stopped: m.Stopped, GivenUp: m.GivenUp,
		}
	case Failed{}.String():
		s.State = Failed{Why: m.Why.in(), At: clock.time(m.At), RestartAt: clock.time(m.RestartAt), GivenUp: m.GivenUp}
	default:
		return Service{}, fmt.Errorf("cannot use the state: there is no state %q", m.State)
	}
	return s, s.check()
}

// check refuses what no sequence of steps leads to.
func (s *Service) check() error {
	_, running := s.State.(Running)
	switch st := s.State.(type) {
	case Starting, Stopping:
		if s.Run() == 0 {
			return fmt.Errorf("cannot use the state: %s without a run", st)
		}
	}
	switch {
	case running && (s.Run() == 0) != s.Rules.Target:
		return fmt.Errorf("cannot use the state: run %d of a %s", s.Run(), map[bool]string{true: "target", false: "service"}[s.Rules.Target])
	case s.Run() > s.Last:
		return fmt.Errorf("cannot use the state: run %d after the last one, %d", s.Run(), s.Last)
	case s.Hook() > ExecStopPost:
		return fmt.Errorf("cannot use the state: there is no hook %d", s.Hook())
	case s.Perm > Lost || s.Delay < 0 || s.Quick < 0 || s.Total < 0:
		return fmt.Errorf("cannot use the state: a number is out of range")
	}
	return nil
}

// stageOut writes a stage down. A memo without a word is of one of the two that
// there always were.
func stageOut(stage Stage) (up bool, word string) {
	switch stage {
	case Preparing:
		return false, "preparing"
	case Prepared:
		return false, "prepared"
	case Coming:
		return true, "coming"
	case Finding:
		return true, "finding"
	case Checking:
		return true, ""
	case Finishing:
		return true, "finishing"
	}
	return false, ""
}

func stageIn(up bool, word string) Stage {
	for stage := Preparing; stage <= Finishing; stage++ {
		if _, w := stageOut(stage); w == word && w != "" {
			return stage
		}
	}
	if up {
		return Checking
	}
	return Spawning
}

func outcomeOut(o Outcome) *outcomeMemo {
	if o == (Outcome{}) {
		return nil
	}
	return &outcomeMemo{o.Code, int(o.Signal), o.Unknown, o.OOM, o.Counts}
}

func (m *outcomeMemo) in() Outcome {
	if m == nil {
		return Outcome{}
	}
	return Outcome{m.Code, syscall.Signal(m.Signal), m.Unknown, m.OOM, m.Counts}
}

func causeOut(c Cause) *causeMemo {
	return &causeMemo{c.Kind, outcomeOut(c.Outcome), c.Count, c.After, c.Name, c.Text, c.Lasting}
}

func (m *causeMemo) in() Cause {
	if m == nil {
		return Cause{}
	}
	return Cause{m.Kind, m.Outcome.in(), m.Count, m.After, m.Name, m.Text, m.Lasting}
}

func (p Probing) out(clock Clock) *probingMemo {
	if p == (Probing{}) {
		return nil
	}
	return &probingMemo{clock.nanos(p.At), p.Failures, clock.nanos(p.CountAt), p.Gap, p.LastErr}
}

func (m *probingMemo) in(clock Clock) Probing {
	if m == nil {
		return Probing{}
	}
	return Probing{clock.time(m.At), m.Failures, clock.time(m.CountAt), m.Gap, m.LastErr}
}

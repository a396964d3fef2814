package pid1

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
)

const (
	// unplanned is what a service gets that the last plan did not name.
	unplanned = 10 * time.Second
	// lastWord is how long a killed process may take to be gone before the next
	// wave goes on without it.
	lastWord = 2 * time.Second
	// endless is longer than anybody waits and far from an overflow.
	endless = 100 * 365 * 24 * time.Hour
)

// waves stop what lives, wave after wave, as the last plan says. They are pure:
// step is told who lives and answers whom to signal.
type waves struct {
	steps []reap.PlanStep // by wave, then by key
	scale float64         // of all timeouts, so that the end is kept; at most 1
	now   int             // the wave whose turn it is
	until map[string]time.Time
	dead  map[string]bool // killed, or given up
}

// An order is a signal to be sent.
type order struct {
	key   string
	run   uint64
	sig   syscall.Signal
	scope reap.Scope
}

// newWaves prepares to stop the children within the plan's waves and until endBy.
func newWaves(plan []reap.PlanStep, children []reap.Child, now, endBy time.Time) *waves {
	w := &waves{until: map[string]time.Time{}, dead: map[string]bool{}, scale: 1}
	alive := byKey(children)
	planned := make(map[string]reap.PlanStep, len(plan))
	for _, s := range plan {
		planned[s.Key] = s
	}
	mains := byKey(children)
	for key := range alive {
		service, _, beside := strings.Cut(key, "/")
		if _, ok := mains[service]; ok && beside {
			continue
		}
		// What a service has instead of a main process is stopped like that.
		if s, ok := planned[service]; ok {
			s.Key = key
			w.steps = append(w.steps, s)
			delete(alive, key)
		}
	}
	first := 0
	if len(w.steps) > 0 {
		first = slices.MinFunc(w.steps, func(a, b reap.PlanStep) int { return cmp.Compare(a.Wave, b.Wave) }).Wave
	}
	for key := range alive {
		w.steps = append(w.steps, reap.PlanStep{Key: key, Wave: first, Signal: syscall.SIGTERM,
			Scope: reap.ScopeGroup, Timeout: uint32(unplanned.Milliseconds())})
	}
	sort.Slice(w.steps, func(i, j int) bool {
		a, b := &w.steps[i], &w.steps[j]
		return a.Wave < b.Wave || a.Wave == b.Wave && a.Key < b.Key
	})
	w.now = first
	if total, left := w.worst(), endBy.Sub(now); total > left {
		w.scale = max(0, float64(left)/float64(total))
	}
	return w
}

// worst is how long all waves take when nothing obeys; what is killed goes at
// once nearly always, and nothing is planned for when it does not.
func (w *waves) worst() time.Duration {
	slowest := map[int]uint32{}
	for _, s := range w.steps {
		slowest[s.Wave] = max(slowest[s.Wave], s.Timeout)
	}
	var total time.Duration
	for _, ms := range slowest {
		// As many waves as a plan can have may add up to more than a Duration holds.
		total = min(total+time.Duration(ms)*time.Millisecond, endless)
	}
	return total
}

// step says what to do now and when to come back unless somebody ends before.
// done: nobody of any wave is left, but for those that cannot be killed.
func (w *waves) step(children []reap.Child, now time.Time) (orders []order, notes []string, wake time.Time, done bool) {
	alive := byKey(children)
	for {
		wake = time.Time{}
		waiting := false
		for _, s := range w.wave() {
			c, ok := alive[s.Key]
			if !ok {
				continue
			}
			o, note := w.turn(s, c, now)
			orders = append(orders, o...)
			if note != "" {
				notes = append(notes, note)
			}
			if until := w.until[s.Key]; !until.IsZero() {
				waiting = true
				if wake.IsZero() || until.Before(wake) {
					wake = until
				}
			}
		}
		if waiting {
			return orders, notes, wake, false
		}
		if !w.next() {
			return orders, notes, time.Time{}, true
		}
	}
}

// turn is one service in the wave whose turn it is. Afterwards its until is when
// to look again, or zero when it is given up.
func (w *waves) turn(s reap.PlanStep, c reap.Child, now time.Time) ([]order, string) {
	until, known := w.until[s.Key]
	switch {
	case !known:
		timeout := time.Duration(float64(s.Timeout) * w.scale * float64(time.Millisecond))
		w.until[s.Key] = now.Add(timeout)
		scope := s.Scope
		if c.MainGone {
			scope = max(scope, reap.ScopeGroup) // whom else
		}
		return []order{{s.Key, c.Run, s.Signal, scope}}, ""
	case until.IsZero() || now.Before(until):
		return nil, ""
	case !w.dead[s.Key]:
		w.dead[s.Key] = true
		w.until[s.Key] = now.Add(lastWord)
		return []order{{s.Key, c.Run, syscall.SIGKILL, reap.ScopeCgroup}},
			fmt.Sprintf("%s did not stop in time: killing it", s.Key)
	}
	w.until[s.Key] = time.Time{}
	return nil, fmt.Sprintf("%s cannot be killed: going on without it", s.Key)
}

// wave is the steps of the wave whose turn it is.
func (w *waves) wave() []reap.PlanStep {
	from := slices.IndexFunc(w.steps, func(s reap.PlanStep) bool { return s.Wave == w.now })
	if from < 0 {
		return nil
	}
	to := from
	for to < len(w.steps) && w.steps[to].Wave == w.now {
		to++
	}
	return w.steps[from:to]
}

// next goes on to the next wave; false when there is none.
func (w *waves) next() bool {
	i := slices.IndexFunc(w.steps, func(s reap.PlanStep) bool { return s.Wave > w.now })
	if i < 0 {
		return false
	}
	w.now = w.steps[i].Wave
	return true
}

func byKey(children []reap.Child) map[string]reap.Child {
	m := make(map[string]reap.Child, len(children))
	for _, c := range children {
		// Of two runs of a key the older one is a group that lingers; it goes with
		// the sweep.
		if old, ok := m[c.Key]; !ok || old.Run < c.Run {
			m[c.Key] = c
		}
	}
	return m
}

package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheLifeOfAService(t *testing.T) {
	for _, c := range []struct {
		name, steps, want string
	}{
		{"the first connection starts it", "arrive started admit arrive admit",
			"starting w1+start, warm w1, warm u1, warm w1 u1, warm u2"},
		{"those that come meanwhile wait for the one start", "arrive arrive arrive giveup started admit admit",
			"starting w1+start, starting w2, starting w3, starting w2, warm w2, warm w1 u1, warm u2"},
		{"it rests from the last close on", "arrive started admit leave +9 tick +1 tick stopped",
			"starting w1+start, warm w1, warm u1, warm, warm, warm, warm, stopping+stop, cold"},
		{"not under a connection", "arrive started admit +100 tick arrive +100 tick",
			"starting w1+start, warm w1, warm u1, warm u1, warm u1, warm w1 u1, warm w1 u1, warm w1 u1"},
		{"who comes during the stop waits for the next start", "arrive started giveup +10 tick arrive stopped started admit",
			"starting w1+start, warm w1, warm, warm, stopping+stop, stopping w1, starting w1+start, warm w1, warm u1"},
		{"what is kept up is asked about again later", "arrive started giveup +10 tick kept tick +10 tick",
			"starting w1+start, warm w1, warm, warm, stopping+stop, warm, warm, warm, stopping+stop"},
		{"after a failure there is a pause that doubles", "arrive failed giveup arrive +0.5 arrive failed giveup +0.9 arrive +0.1 arrive started",
			"starting w1+start, cold w1, cold, cold turned, cold, starting w1+start, cold w1, cold, cold, cold turned, cold, starting w1+start, warm w1"},
		{"a backend that is lost is started again", "arrive started admit lost arrive +0.5 arrive",
			"starting w1+start, warm w1, warm u1, cold u1, cold u1 turned, cold u1, starting w1 u1+start"},
		{"what may be up is released when it has rested", "unsure +10 tick stopped +100 tick",
			"cold, cold, stopping+stop, cold, cold, cold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			l := life{idle: 10 * time.Second, restSince: now}
			var got []string
			for step := range strings.FieldsSeq(c.steps) {
				got = append(got, step1(&l, step, &now))
			}
			if got := strings.Join(got, ", "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// step1 makes one step and tells what has become of the life.
func step1(l *life, step string, now *time.Time) string {
	var o order
	suffix := ""
	switch step {
	case "arrive":
		var turned bool
		if o, turned = l.arrive(*now); turned {
			suffix = " turned"
		}
	case "admit":
		l.admit()
	case "giveup":
		l.giveUp(*now)
	case "leave":
		l.leave(*now)
	case "started":
		l.started(*now, true)
	case "failed":
		l.started(*now, false)
	case "lost":
		l.failed(*now)
	case "tick":
		o = l.tick(*now)
	case "stopped":
		o = l.stopped(*now, true)
	case "kept":
		l.stopped(*now, false)
	case "unsure":
		l.unsure = true
	default:
		var seconds float64
		fmt.Sscanf(step, "+%g", &seconds)
		*now = now.Add(time.Duration(seconds * float64(time.Second)))
	}
	text := l.phase.String()
	if l.waiting > 0 {
		text += fmt.Sprintf(" w%d", l.waiting)
	}
	if l.using > 0 {
		text += fmt.Sprintf(" u%d", l.using)
	}
	return text + suffix + [...]string{"", "+start", "+stop"}[o]
}

// FuzzLife: whatever happens in whatever order, no stop is ordered under a connection,
// at most one order is without its answer, and a connection that waits has one under
// way or a service that runs.
func FuzzLife(f *testing.F) {
	f.Add([]byte{0, 5, 1, 3, 9, 7, 8})
	f.Add([]byte{0, 0, 6, 2, 9, 0, 5, 1, 10, 3, 9, 7, 0, 8, 5})
	f.Fuzz(func(t *testing.T, steps []byte) {
		now := time.Unix(1000, 0)
		l := life{idle: 3 * time.Second, restSince: now}
		asked := nothing
		for _, b := range steps {
			o := nothing
			switch b % 11 {
			case 0:
				o, _ = l.arrive(now)
			case 1:
				if l.waiting > 0 && l.phase == warm {
					l.admit()
				}
			case 2:
				if l.waiting > 0 {
					l.giveUp(now)
				}
			case 3:
				if l.using > 0 {
					l.leave(now)
				}
			case 4:
				l.failed(now)
				if asked == start && l.phase == cold {
					asked = nothing // the runner does not do that: its start is still to be answered
					l.phase = starting
					asked = start
				}
			case 5, 6:
				if asked == start {
					asked = nothing
					l.started(now, b%11 == 5)
					if b%11 == 6 {
						for l.waiting > 0 { // they are all turned away
							l.giveUp(now)
						}
					}
				}
			case 7:
				o = l.tick(now)
				if o == stop && l.waiting+l.using > 0 {
					t.Fatalf("a stop under %d connections", l.waiting+l.using)
				}
			case 8:
				if asked == stop {
					asked = nothing
					o = l.stopped(now, b < 128)
				}
			case 9:
				now = now.Add(time.Duration(b) * 50 * time.Millisecond)
			case 10:
				l.idle = time.Duration(b%3) * time.Second
			}
			if o != nothing {
				if asked != nothing {
					t.Fatalf("order %d while %d is without an answer", o, asked)
				}
				asked = o
			}
			if (l.phase == starting) != (asked == start) || (l.phase == stopping) != (asked == stop) {
				t.Fatalf("%v, and %d is asked", l.phase, asked)
			}
			if l.waiting < 0 || l.using < 0 {
				t.Fatalf("%+v", l)
			}
		}
	})
}

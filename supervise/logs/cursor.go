package logs

import (
	"math"
	"regexp"
	"time"

	"zinit/supervise/logs/pump"
)

// A Query says which lines of a service are wanted; the zero Query is all of them.
type Query struct {
	Lines  int            // at most so many, counted from the end; 0: as many as there are
	Since  time.Time      // nothing older; zero: however old
	Until  time.Time      // nothing younger; zero: however young
	Stream *Stream        // only this one; nil: all
	Match  *regexp.Regexp // only what it is found in; nil: whatever the text
}

// all reports that no line is left out but for the number.
func (q *Query) all() bool {
	return q.Stream == nil && q.Since.IsZero() && q.Until.IsZero() && q.Match == nil
}

func (q *Query) wants(l *Line) bool {
	return (q.Stream == nil || l.Stream == *q.Stream) && !l.Time.Before(q.Since) &&
		(q.Until.IsZero() || !l.Time.After(q.Until)) && (q.Match == nil || q.Match.Match(l.Text))
}

func (q *Query) wantsPiece(p *piece) bool {
	l := p.line()
	return q.wants(&l)
}

// A place is between two lines of a store, in the order in which they are complete:
// all that ended at or before off have been told. A line that ends without a
// newline is complete when its stream is over, which may be found out only behind
// lines of other streams: told says of which streams the text right before off that
// has no newline has been told, too.
//
// As a cursor it is off, in the low bits, and told. Most often nothing is told
// ahead, and the cursor is the offset in the stream.
type place struct {
	off  int64
	told [pump.Streams]bool
}

// toldShift leaves room for half a petabyte, and cursors fit into the integers that
// all JSON libraries can hold (53 bits). Every stream has its bit: also what comes by
// no pipe may lack its newline, when the disk was full or the server was killed.
const toldShift = 49

func (p place) cursor() int64 {
	c := p.off
	for s, told := range p.told {
		if told {
			c |= 1 << (toldShift + s)
		}
	}
	return c
}

// placeOf is the place that a cursor stands for, one past everything when it
// stands for none.
func placeOf(cursor int64) (p place) {
	if cursor < 0 || cursor>>(toldShift+pump.Streams) != 0 {
		return place{off: math.MaxInt64}
	}
	p.off = cursor & (1<<toldShift - 1)
	for s := range p.told {
		p.told[s] = cursor>>(toldShift+s)&1 != 0
	}
	return p
}

// nowhere is the beginning of a text that is not there yet.
const nowhere = math.MaxInt64

// noBegins is when no stream has begun a line.
var noBegins = [pump.Streams]int64{nowhere, nowhere, nowhere, nowhere}

// pass goes behind the pieces, which are in the order of their ends, and gives each
// its cursor. begins is where the text of each stream goes on behind them.
//
// What was told without its newline is not in a cursor when that can be seen from
// the bytes: before a cursor there is the last byte of what was told; or the stream
// has gone on, with a line afresh or behind a cut.
func (at *place) pass(pieces []piece, begins [pump.Streams]int64) {
	if at.told == ([pump.Streams]bool{}) && allEnded(pieces) {
		for i := range pieces {
			at.off = max(at.off, pieces[i].next)
			pieces[i].cursor = at.off
		}
		return
	}
	behind := make([][pump.Streams]int64, len(pieces))
	for i := len(pieces) - 1; i >= 0; i-- {
		behind[i] = begins
		begins[pieces[i].stream] = pieces[i].off
	}
	for i := range pieces {
		p := &pieces[i]
		late := p.next < at.off
		at.off = max(at.off, p.next)
		at.told[p.stream] = p.end != newline
		here := *at
		for s := range here.told {
			own := Stream(s) == p.stream && !late
			here.told[s] = at.told[s] && behind[i][s] >= at.off && !own
		}
		p.cursor = here.cursor()
	}
}

// allEnded: with a newline, each of them.
func allEnded(pieces []piece) bool {
	for i := range pieces {
		if pieces[i].end != newline {
			return false
		}
	}
	return true
}

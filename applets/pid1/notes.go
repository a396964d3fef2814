package pid1

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The notes of a keeper for the program that replaces it: values by name, as text.
// Names are never used for something else; who does not know one passes it over, and
// what is missing is as in a life that begins.
const (
	noteVersion   = "version"   // of the program that wrote them
	noteApplet    = "applet"    // the name under which it was found
	noteArgs      = "args"      // its arguments
	noteRole      = "role"      // standalone, container, machine
	noteStage     = "stage"     // boot, serve, respawn
	noteRunning   = "running"   // there is a server
	noteFirst     = "first"     // no server has ended yet and none was ready
	noteSoft      = "soft"      // the server is to be replaced
	noteDelay     = "delay"     // the back-off
	noteStartIn   = "start-in"  // time until the next start
	noteSoftIn    = "soft-in"   // time until the server is killed
	noteTerminals = "terminals" // descriptors
	noteSignals   = "signals"   // that came and were not looked at
	noteMessages  = "messages"  // that were not written
)

// listEnd follows each element of a list.
const listEnd = "\x00"

// notes writes down a life before a drain; none is replaced later.
func (l *life) notes(now time.Time) map[string]string {
	n := map[string]string{
		noteRole:    roleNames[l.role],
		noteStage:   l.stage.String(),
		noteRunning: strconv.FormatBool(l.running),
		noteFirst:   strconv.FormatBool(l.first),
		noteSoft:    strconv.FormatBool(l.soft),
		noteDelay:   l.delay.String(),
	}
	for name, at := range map[string]time.Time{noteStartIn: l.startAt, noteSoftIn: l.softBy} {
		if !at.IsZero() {
			n[name] = at.Sub(now).String()
		}
	}
	return n
}

var roleNames = [...]string{standalone: "standalone", container: "container", machine: "machine"}

// lifeOf reads a life from notes. The patience is the caller's to set.
func lifeOf(n map[string]string, now time.Time) (life, error) {
	r := reader{notes: n, now: now}
	l := life{
		role:    role(r.oneOf(noteRole, roleNames[:])),
		stage:   stage(r.oneOf(noteStage, []string{boot.String(), serve.String(), respawn.String()})),
		running: r.flag(noteRunning),
		first:   r.flag(noteFirst),
		soft:    r.flag(noteSoft),
		delay:   min(max(r.length(noteDelay), 0), lastDelay),
		startAt: r.moment(noteStartIn),
		softBy:  r.moment(noteSoftIn),
	}
	return l, r.wrong
}

// A reader reads notes and remembers what was wrong with them.
type reader struct {
	notes map[string]string
	now   time.Time
	wrong error
}

func (r *reader) refuse(name string) {
	r.wrong = errors.Join(r.wrong, fmt.Errorf("cannot understand the note %s: %q", name, r.notes[name]))
}

// oneOf is the place of a value in a list, the first one when there is none.
func (r *reader) oneOf(name string, list []string) int {
	value, there := r.notes[name]
	if !there {
		return 0
	}
	for i := range list {
		if list[i] == value {
			return i
		}
	}
	r.refuse(name)
	return 0
}

func (r *reader) flag(name string) bool { return r.oneOf(name, []string{"false", "true"}) == 1 }

func (r *reader) length(name string) time.Duration {
	value, there := r.notes[name]
	if !there {
		return 0
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		r.refuse(name)
	}
	return d
}

// moment is now plus a length, and zero for none.
func (r *reader) moment(name string) time.Time {
	if _, there := r.notes[name]; !there {
		return time.Time{}
	}
	return r.now.Add(r.length(name))
}

func (r *reader) numbers(name string) (list []int) {
	for _, word := range strings.Fields(r.notes[name]) {
		n, err := strconv.Atoi(word)
		if err != nil {
			r.refuse(name)
			return nil
		}
		list = append(list, n)
	}
	return list
}

func (r *reader) list(name string) []string {
	list := strings.Split(r.notes[name], listEnd)
	return list[:len(list)-1]
}

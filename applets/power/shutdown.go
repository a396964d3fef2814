package power

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"zinit/applets/env"
)

const shutdownUsage = `usage: shutdown [-P|-h|-r|-H|-k] [--no-wall] [TIME] [MESSAGE...]
       shutdown -c [MESSAGE...]

Ends the machine at a time: now, +MINUTES or HH:MM; without one in a minute. It waits for
that, and an interrupt cancels it.

  -P, -h         power off (which it does anyhow)
  -r             reboot
  -H             halt
  -k             only say so
  -c             cancel the one that waits
      --no-wall  tell nobody

Flags may stand anywhere; a message that begins with - goes behind --.
`

// An order is what a command line of shutdown asks for.
type order struct {
	way     way
	at      time.Time
	only    bool // say, and end nothing
	cancel  bool
	silent  bool
	help    bool
	message string
}

// Shutdown is the applet shutdown. It returns when the order is given, or cancelled.
func Shutdown(e *env.Env) int {
	o, err := parse(e.Args[1:], time.Now())
	switch {
	case err != nil:
		fmt.Fprintf(e.Stderr, "shutdown: %v\n\n%s", err, shutdownUsage)
		return env.ExitUsage
	case o.help:
		return say(e, shutdownUsage)
	case o.cancel:
		if err = cancel(planFile); err == nil && !o.silent {
			wall("the shutdown is cancelled", o.message)
		}
		return tell(e, err)
	}
	return tell(e, o.carryOut(e, thisMachine(e)))
}

func parse(args []string, now time.Time) (o order, err error) {
	o.way = wayPoweroff
	var words []string
	for i, a := range args {
		if a == "--" {
			words = append(words, args[i+1:]...)
			break
		}
		// Behind the time, too: who has typed now -r does not want it switched off.
		if !strings.HasPrefix(a, "-") || a == "-" {
			words = append(words, a)
			continue
		}
		if err := o.flag(a); err != nil {
			return o, err
		}
	}
	if o.cancel {
		o.message = strings.Join(words, " ")
		return o, nil
	}
	if len(words) == 0 {
		words = []string{"+1"}
	}
	if o.at, err = moment(words[0], now); err != nil {
		return o, err
	}
	o.message = strings.Join(words[1:], " ")
	return o, nil
}

func (o *order) flag(a string) error {
	switch a {
	case "--poweroff":
		o.way = wayPoweroff
	case "--reboot":
		o.way = wayReboot
	case "--halt":
		o.way = wayHalt
	case "--kexec":
		o.way = wayKexec
	case "--no-wall":
		o.silent = true
	case "--help":
		o.help = true
	default:
		for i, letter := range a[1:] {
			if !o.letter(letter) {
				return fmt.Errorf("unknown flag %s: a message that begins with - goes behind --", a[:1]+a[1+i:])
			}
		}
	}
	return nil
}

// letter is a flag of those that may stand together: -hP.
func (o *order) letter(l rune) bool {
	switch l {
	case 'h': // in -hH, and behind -H, it says nothing
		if o.way.name != wayHalt.name {
			o.way = wayPoweroff
		}
	case 'P':
		o.way = wayPoweroff
	case 'r':
		o.way = wayReboot
	case 'H':
		o.way = wayHalt
	case 'k':
		o.only = true
	case 'c':
		o.cancel = true
	case 'q':
		o.silent = true
	default:
		return false
	}
	return true
}

// moment understands a time: now, a number of minutes, or the next time a clock shows.
func moment(word string, now time.Time) (time.Time, error) {
	if word == "now" {
		return now, nil
	}
	var minutes, hour int
	if rest, ok := strings.CutPrefix(word, "+"); ok {
		if n, err := fmt.Sscanf(rest+"\n", "%d\n", &minutes); n == 1 && err == nil && minutes >= 0 && minutes <= 1e6 {
			return now.Add(time.Duration(minutes) * time.Minute), nil
		}
		return now, fmt.Errorf("%s: not a number of minutes", word)
	}
	if n, err := fmt.Sscanf(word+"\n", "%2d:%2d\n", &hour, &minutes); n != 2 || err != nil || hour < 0 || minutes < 0 || hour > 23 || minutes > 59 {
		return now, fmt.Errorf("%s: not a time: use now, +MINUTES or HH:MM", word)
	}
	at := time.Date(now.Year(), now.Month(), now.Day(), hour, minutes, 0, 0, now.Location())
	if !at.After(now) {
		at = time.Date(now.Year(), now.Month(), now.Day()+1, hour, minutes, 0, 0, now.Location())
	}
	return at, nil
}

// errCancelled ends a wait.
var errCancelled = errors.New("the shutdown is cancelled")

// carryOut waits for the time and then does it.
func (o order) carryOut(e *env.Env, m machine) error {
	if !o.only {
		// Before anybody is told, and not when the time has come.
		if err := m.reach(); err != nil {
			return err
		}
	}
	if time.Now().Before(o.at) {
		release, err := claim(planFile)
		if err != nil {
			return err
		}
		defer release()
		m.leave() // that somebody logs out is no reason to stay up
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
		fmt.Fprintf(e.Stdout, "shutdown: %s at %s; shutdown -c cancels it\n", o.way.name, o.at.Format("15:04:05"))
		if err := o.wait(stop, o.announce); err != nil {
			return err
		}
	}
	if !o.silent {
		wall("the machine is "+o.way.name+" now", o.message)
	}
	if o.only {
		return nil
	}
	return m.end(o.way)
}

func (o order) announce(left time.Duration) {
	if !o.silent {
		wall(fmt.Sprintf("the machine is %s in %v", o.way.name, left.Round(time.Minute)), o.message)
	}
}

// warnings are the minutes before the end at which everybody is told again.
var warnings = [...]time.Duration{60 * time.Minute, 30 * time.Minute, 15 * time.Minute, 10 * time.Minute, 5 * time.Minute, time.Minute}

// wait returns at the time. It looks at the clock each minute: that may be set, which
// concerns a time of day and not a number of minutes.
func (o order) wait(stop <-chan os.Signal, announce func(left time.Duration)) error {
	left := time.Until(o.at)
	announce(left)
	for left > 0 {
		next := min(left, time.Minute)
		select {
		case <-stop:
			return errCancelled
		case <-time.After(next):
		}
		was := left
		left = time.Until(o.at)
		for _, at := range warnings {
			if was > at && left <= at && left > 0 {
				announce(left)
				break
			}
		}
	}
	return nil
}

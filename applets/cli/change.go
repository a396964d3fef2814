package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
)

// How start and restart tell that it was done.
const (
	started   = "Started"
	restarted = "Restarted"
)

// start starts services and says at once when one is held up or has failed.
func start(s *session) int {
	return s.change(started, sock.GoalUp, func(name string) error {
		if s.call.has("tree") {
			if err := s.startWaitedOn(name); err != nil {
				return err
			}
		}
		params := sock.StartParams{Name: name, NoDeps: s.call.has("no-deps")}
		return s.ask(sock.MethodStart, params, nil)
	})
}

// startWaitedOn starts by hand what the service waits on, one level deep.
func (s *session) startWaitedOn(name string) error {
	var reply sock.WhyBlocked
	if err := s.ask(sock.MethodWhy, sock.NameParams{Name: name}, &reply); err != nil {
		return named(name, err)
	}
	for _, other := range reply.WaitingOn {
		s.printf("Starting dependency: %s\n", escape(other))
		if err := s.ask(sock.MethodStart, sock.StartParams{Name: other}, nil); err != nil {
			return err
		}
	}
	return nil
}

// stop stops services, and what requires them.
func stop(s *session) int {
	code := s.change("Stopped", sock.GoalDown, func(name string) error {
		return s.ask(sock.MethodStop, sock.StartParams{Name: name}, nil)
	})
	if code == env.ExitDone {
		s.survivors(s.call.words)
	}
	return code
}

// survivors warns of processes that a stop does not reach.
func (s *session) survivors(names []string) {
	seen := map[int]bool{} // strays are nobody's, and told once
	for _, name := range names {
		var r sock.ServiceStatusFull
		if s.ask(sock.MethodStatusFull, sock.NameParams{Name: name}, &r) != nil {
			continue // what was to be done is done
		}
		if len(r.Left) > 0 {
			s.warn(fmt.Sprintf("%s: processes of an earlier run live on: %s: end them by their pids", name, processes(r.Left)))
		}
		r.Strays = slices.DeleteFunc(r.Strays, func(p sock.Child) bool { return seen[p.PID] })
		for _, p := range r.Strays {
			seen[p.PID] = true
		}
		if len(r.Strays) > 0 {
			s.warn(fmt.Sprintf("%s: processes that have left their session live on, perhaps some of it (%s): %s: end them by their pids",
				name, r.CgroupMissing, processes(r.Strays)))
		}
	}
}

// restart stops services and starts them again.
func restart(s *session) int {
	return s.change(restarted, sock.GoalUp, func(name string) error {
		return s.ask(sock.MethodRestart, sock.StartParams{Name: name}, nil)
	})
}

// change does something to every NAME. With --wait it then waits for all of them
// at once: what is independent starts side by side.
func (s *session) change(done, state string, do func(name string) error) int {
	w, err := s.awaits()
	if err != nil {
		return s.usage(err)
	}
	var changed []string
	code := s.each(s.call.words, func(name string) error {
		if err := do(name); err != nil {
			return err
		}
		changed = append(changed, name)
		if w.wanted {
			return nil
		}
		if done == started || done == restarted {
			return s.afterStart(name, done)
		}
		s.printf("%s: %s\n", done, name)
		return nil
	})
	if !w.wanted || len(changed) == 0 {
		return code
	}
	if failed := s.awaitChange(changed, done, state, w); code == env.ExitDone {
		code = failed
	}
	return code
}

// An await is what --wait and --timeout ask for.
type await struct {
	wanted  bool
	limited bool
	end     time.Time // when limited
}

// awaits reads --wait and --timeout. With a timeout, the server may come up
// meanwhile, too.
func (s *session) awaits() (await, error) {
	limit, err := s.timeout()
	if err != nil {
		return await{}, err
	}
	if limit > 0 && !s.call.has("wait") {
		return await{}, errors.New("--timeout goes with --wait: add it")
	}
	s.patience = limit
	return await{s.call.has("wait"), limit > 0, s.now().Add(limit)}, nil
}

// afterStart tells what a start or restart came to. A failure that shows only later is for
// --wait.
func (s *session) afterStart(name, done string) error {
	var reply sock.ServiceStatus
	look := func() error { return s.ask(sock.MethodStatus, sock.NameParams{Name: name}, &reply) }
	if err := look(); err != nil {
		return named(name, err)
	}
	hopeless := false
	if reply.State == sock.Blocked {
		var err error
		if hopeless, err = s.heldUp(name); err != nil {
			return err
		}
		reply = sock.ServiceStatus{}
		if err := look(); err != nil {
			return named(name, err)
		}
	}
	switch {
	case reply.State == sock.Failed:
		text := strings.TrimPrefix(reply.Reason, name+": ")
		if text == "" {
			text = joined(reply.Error, failedCode(reply.ExitCode))
		}
		return errors.New(name + ": " + withLogs(name, text))
	case reply.State == sock.Blocked && hopeless:
		s.printf("Blocked: %s\n", name)
		s.printObstacles(&reply)
		return told(env.ExitState)
	case reply.State == sock.Blocked:
		s.printf("Waiting: %s\n", name)
		s.printObstacles(&reply)
	default:
		s.printf("%s: %s\n", done, name)
	}
	return nil
}

// soon is how long what a service waits for may take to count as up at once.
const soon = 300 * time.Millisecond

// heldUp looks for a moment whether a blocked service gets on; hopeless: it will not
// without help.
func (s *session) heldUp(name string) (hopeless bool, err error) {
	result, err := s.wait(sock.WaitParams{Names: []string{name}, State: sock.GoalUp, Settle: true}, soon)
	if _, is := err.(otherVersion); is {
		return false, nil // zinit 0.3.9 cannot tell
	}
	for _, one := range result.Services {
		hopeless = hopeless || one.Hopeless
	}
	return hopeless, err
}

// printObstacles tells, as zinit 0.3.9 does, what a service is blocked by.
func (s *session) printObstacles(r *sock.ServiceStatus) {
	// Server and options decide whether its dependencies were started too.
	tip := fmt.Sprintf("use 'zinit why %s' to see what holds it up", r.Name)
	if s.call.has("no-deps") {
		tip = fmt.Sprintf("use 'zinit start %s --tree' to start dependencies too", r.Name)
	}
	why := ""
	if r.Error != "" {
		why = ": " + escape(r.Error)
	} else if r.Reason != "" {
		why = ": " + strings.TrimPrefix(escape(r.Reason), r.Name+": ")
	}
	s.printf("\nService is blocked%s\n\nTip: %s\n", why, tip)
}

// withLogs adds where to look, to a reason that tells only how a process ended.
func withLogs(name, reason string) string {
	if strings.HasPrefix(reason, "exit code ") || strings.HasPrefix(reason, "killed by ") {
		return reason + ": see zinit logs " + name
	}
	return reason
}

func failedCode(code *int) string {
	if code == nil {
		return ""
	}
	return fmt.Sprintf("exit code %d", *code)
}

// awaitChange waits until the services are where the change leads, and prints
// the line of each that got there. One request for each: a request for all would
// end at the first that cannot get there, while others are on their way.
func (s *session) awaitChange(names []string, done, state string, w await) int {
	return s.each(names, func(name string) error {
		left := time.Duration(0)
		if w.limited {
			left = max(time.Millisecond, w.end.Sub(s.now()))
		}
		result, err := s.wait(sock.WaitParams{Names: []string{name}, State: state, Settle: true}, left)
		if err != nil {
			return err
		}
		for _, one := range result.Services {
			if !one.Reached {
				return notReached(one, state)
			}
		}
		s.printf("%s: %s\n", done, name)
		return s.flush() // the next one may take long
	})
}

package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/config"
)

// wait returns when all services are in a state, or when the time is up.
func wait(s *session) int {
	state := strings.ToLower(s.call.value("state", sock.Running))
	if !slices.Contains(sock.Goals(), state) {
		text := fmt.Sprintf("unknown state %q", state)
		if near := config.Nearest(state, sock.Goals()); near != "" {
			text += ": did you mean " + near + "?"
		} else {
			text += ": it is one of " + strings.Join(sock.Goals(), ", ")
		}
		return s.usage(errors.New(text))
	}
	limit, err := s.timeout()
	if err != nil {
		return s.usage(err)
	}
	s.patience = limit
	began := s.now()
	if err := s.connect(); err != nil {
		return s.fail(err)
	}
	if limit > 0 {
		limit = max(time.Millisecond, limit-s.now().Sub(began))
	}
	result, err := s.wait(sock.WaitParams{Names: s.call.words, State: state}, limit)
	if err != nil {
		return s.fail(err)
	}
	code := env.ExitDone
	if s.call.has("json") {
		s.printJSON(result)
		if !result.Reached {
			code = env.ExitState
		}
		return code
	}
	for _, w := range result.Services {
		if w.Reached {
			s.printf("%s is %s\n", escape(w.Name), w.State)
			continue
		}
		s.fail(notReached(w, state))
		code = env.ExitState
	}
	return code
}

// wait asks the server to answer when all services are where params say, or when
// the limit has passed; 0 is no limit.
func (s *session) wait(params sock.WaitParams, limit time.Duration) (sock.WaitResult, error) {
	params.TimeoutMs = limit.Milliseconds()
	bound := time.Duration(0)
	if limit > 0 {
		// The server keeps the time; this is for one that does not answer.
		bound = limit + answerTimeout
	}
	var result sock.WaitResult
	err := s.askFor(bound, sock.MethodWait, params, &result)
	return result, err
}

// notReached says where a service is instead.
func notReached(w sock.WaitedService, state string) error {
	why := strings.TrimPrefix(w.Error, w.Name+": ")
	if why == "" {
		why = "zinit status " + w.Name + " tells more"
	}
	if state == sock.GoalDown && w.State == sock.Stopping {
		why += "; it is killed when its stop_timeout is over"
	}
	if state == sock.GoalUp || state == sock.GoalDown {
		return fmt.Errorf("%s is not %s, it is %s: %s", w.Name, state, w.State, why)
	}
	return fmt.Errorf("%s is %s, not %s: %s", w.Name, w.State, state, why)
}

// timeout is the value of --timeout, 0 when there is none.
func (s *session) timeout() (time.Duration, error) {
	text := s.call.value("timeout", "")
	if !s.call.has("timeout") {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		// A bare number is meant as seconds, as timeout(1) has it.
		d, err = time.ParseDuration(text + "s")
	}
	if err != nil || d < time.Millisecond {
		return 0, fmt.Errorf("--timeout %s is no length of time: write 500ms, 10s or 2m", text)
	}
	return d, nil
}

// usage shows what is wrong with the values on the command line.
func (s *session) usage(err error) int {
	fmt.Fprintf(s.env.Stderr, "zinit %s: %s\n", s.call.verb.name, err)
	return env.ExitUsage
}

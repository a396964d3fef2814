package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"zinit/sock"
	"zinit/supervise/config"
)

// maxStdin bounds a service file on stdin, in bytes; those on disk have the same
// bound.
const maxStdin = 1 << 20

// addService adds the services that files describe, or the one that flags do.
func addService(s *session) int {
	described, err := s.describe()
	if err != nil {
		return s.usage(err)
	}
	files := s.call.words
	if described != nil {
		files = []string{""}
	}
	var results [][]byte
	code := s.each(files, func(file string) error {
		service := described
		if service == nil {
			var err error
			if service, err = s.readService(file); err != nil {
				return err
			}
		}
		raw, err := s.add(service)
		if err == nil && s.call.has("json") {
			results = append(results, raw)
		}
		return err
	})
	if s.call.has("json") {
		s.printResults(results, len(files) == 1)
	}
	return code
}

// add has the server take in one service and tells what became of it. It returns
// the server's answer.
func (s *session) add(service json.RawMessage) (json.RawMessage, error) {
	params := sock.SetParams{Config: service, Exact: true}
	if s.call.has("ephemeral") {
		persist := false
		params.Persist = &persist
	}
	var raw json.RawMessage
	if err := s.ask(sock.MethodSet, params, &raw); err != nil {
		return nil, err
	}
	var result sock.SetResult
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, fmt.Errorf("cannot read the answer to %s: %w", sock.MethodSet, err)
	}
	for _, text := range result.Warnings {
		s.warn(text)
	}
	if params.Persist != nil && result.Path != "" {
		// zinit 0.3.9 knows no other way.
		s.warn("this server saves every service: zinit remove " + result.Name + " deletes the file, too")
	}
	if s.call.has("json") {
		return raw, nil
	}
	where := "saved to " + result.Path
	if result.Path == "" {
		where = "not saved: gone after a reboot"
	}
	s.printf("Service '%s' added (%s)\n", escape(result.Name), escape(where))
	return raw, nil
}

// readService reads a service file as the server would, and puts it into the form
// of the wire.
func (s *session) readService(file string) (json.RawMessage, error) {
	var service *config.Service
	var problems []config.Problem
	if file == "-" {
		text, err := io.ReadAll(io.LimitReader(s.env.Stdin, maxStdin))
		if err != nil {
			return nil, fmt.Errorf("cannot read stdin: %w", err)
		}
		service, problems = config.Parse("stdin", text)
	} else if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("cannot read %s: %s: name a service file", file, bareReason(err))
	} else {
		service, problems = config.LoadFile(file)
	}
	wrong := s.wrongOf(problems)
	switch {
	case service == nil:
		return nil, fmt.Errorf("cannot add %s%s", file, wrong)
	case service.Target:
		return nil, fmt.Errorf("cannot add %s: it describes a target: put it beside the other files and run zinit reload", file)
	}
	return json.RawMessage(config.ToJSON(service)), nil
}

// wrongOf warns of what is doubtful about a file and returns what is wrong with it, each
// on a line of its own.
func (s *session) wrongOf(problems []config.Problem) string {
	var wrong strings.Builder
	for _, p := range problems {
		if p.Severity == config.Warning {
			p.Severity = config.Error // that word is in front already
			s.warn(p.String())
			continue
		}
		wrong.WriteString("\n  " + p.String())
	}
	return wrong.String()
}

// describing is the flags that describe a service.
const describing = "name exec dir oneshot env requires after wants conflicts restart restart-delay restart-delay-max max-restarts"

// describe makes a service of the flags, or nil when there are none and files
// are named.
func (s *session) describe() (json.RawMessage, error) {
	given := ""
	for _, name := range strings.Fields(describing) {
		if given == "" && s.call.has(name) {
			given = name
		}
	}
	switch {
	case given != "" && len(s.call.words) > 0:
		return nil, fmt.Errorf("--%s does not go with a file: write it into %s", given, s.call.words[0])
	case given == "" && len(s.call.words) == 0:
		return nil, errors.New("what to add is missing: name a FILE, or use --name and --exec")
	case given == "":
		return nil, nil
	case !s.call.has("name"):
		return nil, errors.New("--name is missing: without a file, --name and --exec describe the service")
	case !s.call.has("exec"):
		return nil, errors.New("--exec is missing: without a file, --name and --exec describe the service")
	}
	lifecycle, err := s.describeLifecycle()
	if err != nil {
		return nil, err
	}
	environment := map[string]string{}
	for _, pair := range s.call.flags["env"] {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("invalid env format: %s (expected KEY=VALUE)", pair)
		}
		environment[key] = value
	}
	c := sock.ServiceConfig{
		Lifecycle: lifecycle,
		Service: sock.Service{
			Name: s.call.value("name", ""), Exec: s.call.value("exec", ""), Oneshot: s.call.has("oneshot"), Env: environment,
			Ports: []uint16{}, ProcessFilters: []string{},
		},
		Dependencies: sock.Dependencies{
			After: s.call.flags["after"], Conflicts: s.call.flags["conflicts"],
			Requires: s.call.flags["requires"], Wants: s.call.flags["wants"],
		},
	}
	if dir := s.call.value("dir", ""); dir != "" {
		c.Service.Dir = &dir
	}
	return json.Marshal(c)
}

func (s *session) describeLifecycle() (sock.Lifecycle, error) {
	var l sock.Lifecycle
	if s.call.has("restart") {
		given := s.call.value("restart", "")
		switch l.Restart = strings.ReplaceAll(strings.ToLower(given), "_", "-"); l.Restart {
		case "always", "on-failure", "never":
		default:
			return l, fmt.Errorf("invalid restart policy: %s (use always, on-failure, or never)", given)
		}
	}
	l.RestartExplicit = l.Restart != "" && s.call.has("oneshot")
	var err error
	if l.RestartDelayMs, err = s.millis("restart-delay"); err != nil {
		return l, err
	}
	if l.RestartDelayMaxMs, err = s.millis("restart-delay-max"); err != nil {
		return l, err
	}
	if s.call.has("max-restarts") {
		n, err := strconv.ParseInt(s.call.value("max-restarts", ""), 10, 32)
		if err != nil || n < 0 {
			return l, fmt.Errorf("--max-restarts %s is no number: 0 means without end", s.call.value("max-restarts", ""))
		}
		l.MaxRestarts = &n
	}
	return l, nil
}

// millis is a flag in milliseconds, or with a unit; nil when it is not given.
func (s *session) millis(name string) (*int64, error) {
	if !s.call.has(name) {
		return nil, nil
	}
	text := s.call.value(name, "")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		var d time.Duration
		d, err = time.ParseDuration(text)
		n = d.Milliseconds()
	}
	if err != nil || n < 0 {
		return nil, fmt.Errorf("--%s %s is no length of time: write milliseconds, or 5s", name, text)
	}
	return &n, nil
}

package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// check looks at what must be there and at what must agree, after all keys were
// read on their own.
func (f *file) check(s *Service, tables map[string]*tomlTable) {
	if s.Target {
		f.require("target.name", tables["target"], `write name = "`+suggestedName(f.path)+`"`)
	} else if t := tables["service"]; t != nil {
		f.require("service.name", t, `write name = "`+suggestedName(f.path)+`"`)
		f.require("service.exec", t, `write exec = "/path/of/program"`)
		f.command(s)
		f.combinations(s)
	}
	f.dependencies(s)
	f.delays(s)
	// It says nothing about others: services that do the same are equal.
	s.Lifecycle.RestartExplicit = s.Lifecycle.RestartExplicit && s.Oneshot()
	if s.Health != nil {
		f.health(s, tables["health"])
	}
}

// require reports a key that is not given, unless it was and could not be read.
func (f *file) require(key string, t *tomlTable, hint string) bool {
	if f.lines[key] > 0 {
		return true
	}
	if !slices.Contains(f.refused, key) && !(key == "health.target" && slices.Contains(f.refused, "health.endpoint")) {
		f.report(Error, t.line, key, "%s is missing: %s", key, hint)
	}
	return false
}

func suggestedName(path string) string {
	if name := baseName(path); CheckName(name) == nil {
		return name
	}
	return "my-service"
}

// command splits exec. Where programs are found is a matter of the service's own
// PATH, if it has one.
func (f *file) command(s *Service) {
	if s.Exec == "" {
		return // missing or empty, and reported
	}
	c, err := SplitCommandWith(s.Exec, foundWith(s.Env))
	if err != nil {
		f.report(Error, f.lines["service.exec"], "service.exec", "%v", err)
		return
	}
	s.Command = c
	f.splitHooks(s)
}

func foundWith(env []string) func(string) bool {
	return func(name string) bool {
		_, err := LookPath(name, env, "")
		return err == nil
	}
}

// dependencies refuses what a service can never have of itself, and drops what
// means nothing.
func (f *file) dependencies(s *Service) {
	if s.Name == "" {
		return
	}
	own := func(names []string) bool { return slices.Contains(names, s.Name) }
	if own(s.Requires) {
		f.report(Error, f.lines["dependencies.requires"], "dependencies.requires", "a service cannot require itself: remove %s", quoted(s.Name))
	}
	if own(s.Awaits) {
		f.report(Error, f.lines["dependencies.awaits"], "dependencies.awaits", "a service cannot wait for itself: remove %s", quoted(s.Name))
	}
	if own(s.Conflicts) {
		f.report(Error, f.lines["dependencies.conflicts"], "dependencies.conflicts", "a service cannot conflict with itself: remove %s", quoted(s.Name))
	}
	for _, d := range []struct {
		key   string
		names *[]string
	}{{"dependencies.after", &s.After}, {"dependencies.wants", &s.Wants}} {
		if own(*d.names) {
			f.report(Warning, f.lines[d.key], d.key, "names the service itself, which means nothing: remove %s", quoted(s.Name))
			*d.names = slices.DeleteFunc(*d.names, func(n string) bool { return n == s.Name })
		}
	}
}

func (f *file) delays(s *Service) {
	const delay, most = "lifecycle.restart_delay_ms", "lifecycle.restart_delay_max_ms"
	l := &s.Lifecycle
	if l.RestartDelayMax >= l.RestartDelay || l.RestartDelayMax == 0 {
		return // 0: refused already
	}
	line := f.lines[most]
	if line == 0 {
		line = f.lines[delay]
	}
	f.report(Error, line, most, "%s must be >= restart_delay_ms (%d is less than %d): raise it",
		most, l.RestartDelayMax.Milliseconds(), l.RestartDelay.Milliseconds())
}

// health checks that the target fits the type.
func (f *file) health(s *Service, t *tomlTable) {
	h := s.Health
	kindGiven := f.require("health.type", t, `write type = "tcp", "http" or "exec"`)
	given := f.require("health.target", t, `write target = "127.0.0.1:8080", a URL, or a command`)
	if line := f.lines["health.expect_status"]; line > 0 && f.probeKnown && h.Kind != ProbeHTTP {
		f.report(Warning, line, "health.expect_status", "has no effect: only http has a status, remove it")
		h.ExpectStatus = defaultStatus
	}
	if !kindGiven || !given || !f.probeKnown || h.Target == "" {
		return
	}
	bad := func(format string, args ...any) {
		f.report(Error, f.lines["health.target"], "health.target", format, args...)
	}
	switch h.Kind {
	case ProbeTCP:
		if !isHostPort(h.Target) {
			bad("%s is not an address: write HOST:PORT, such as \"127.0.0.1:8080\"", quoted(h.Target))
		}
	case ProbeHTTP:
		if u, err := url.Parse(h.Target); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("%s is not a URL: write one such as \"http://127.0.0.1:8080/health\"", quoted(h.Target))
		}
	case ProbeExec:
		c, err := SplitCommandWith(h.Target, foundWith(s.Env))
		if err != nil {
			bad("%v", err)
		}
		h.Command = c
	}
}

// isHostPort accepts host:port with a number, or the name of a port.
func isHostPort(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil || port == "" || strings.ContainsAny(s, "/ \t\n") {
		return false
	}
	n, err := strconv.Atoi(port)
	return err != nil && isLetter(port[0]) || err == nil && n >= 1 && n <= 65535
}

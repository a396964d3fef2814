package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The descriptors that notify_fd may name: those below are the standard ones.
const minNotifyFD, maxNotifyFD = 3, 63

// onlyOf has the keys that mean nothing unless the service is of a type.
var onlyOf = [...]struct {
	key  string
	kind Type
}{
	{"pid_file", TypeForking},
	{"remain_after_exit", TypeOneshot},
	{"notify_access", TypeNotify},
	{"watchdog", TypeNotify},
	{"notify_fd", TypeSimple},
}

// combinations looks at keys of a service that stand against each other.
func (f *file) combinations(s *Service) {
	f.kind(s)
	f.terminal(s)
	f.limits(s)
	f.timer(s)
	f.socketTables(s)
	f.sinks(s)
	f.signals(s)
	if line := f.lines["service.kill_others"]; s.KillOthers && len(s.Ports) == 0 && len(s.ProcessFilters) == 0 {
		f.report(Warning, line, "service.kill_others", "has no effect: there are no ports and no process_filters, remove it or write one of them")
	}
	if s.Oneshot() && s.Health != nil {
		f.report(Warning, f.lines["health"], "health",
			"is not for a oneshot: it has done its work when it ends, and fails when no check passes before; remove it")
	}
}

// signals warns of those that do not do what they are for.
func (f *file) signals(s *Service) {
	const reload, stop = "service.reload_signal", "lifecycle.stop_signal"
	switch line := f.lines[reload]; {
	case line == 0:
	case len(s.Hooks.Reload) > 0:
		f.report(Warning, line, reload, "has no effect beside exec_reload: remove one of them")
	case s.ReloadSignal == syscall.SIGKILL:
		f.report(Warning, line, reload, "SIGKILL ends the service, which cannot reload then: write one that it handles, such as \"SIGHUP\"")
	case s.ReloadSignal == syscall.SIGSTOP:
		f.report(Warning, line, reload, "SIGSTOP freezes the service, which cannot reload then: write one that it handles, such as \"SIGHUP\"")
	}
	if line := f.lines[stop]; line > 0 && s.Lifecycle.StopSignal == syscall.SIGSTOP {
		f.report(Warning, line, stop, "SIGSTOP freezes the service, so that each stop takes stop_timeout_ms and ends with SIGKILL: write \"SIGTERM\" or \"SIGKILL\"")
	}
}

// kind finds out what type of service it is, by `type` or by `oneshot`, and what
// cannot be with it.
func (f *file) kind(s *Service) {
	if f.typeUnknown {
		return
	}
	byType, byFlag := f.lines["service.type"], f.lines["service.oneshot"]
	// Clients send an oneshot that is false whatever the type.
	spoken := f.oneshot || byFlag > 0 && !f.wire
	if byType > 0 && spoken && f.oneshot != s.Oneshot() {
		where := ""
		if !f.wire {
			where = fmt.Sprintf(" in line %d", byFlag)
		}
		f.report(Error, byType, "service.type", "%s is against oneshot = %v%s: remove one of them", inQuotes(typeWords[s.Type]), f.oneshot, where)
	}
	if f.oneshot {
		s.Type = TypeOneshot
	}
	for _, o := range onlyOf {
		line := f.lines["service."+o.key]
		if line == 0 || s.Type == o.kind {
			continue
		}
		severity := Error
		if sectionNamed("service").find(o.key).isDefault(s, plainService()) {
			if severity = Warning; f.wire { // clients send what they were told
				continue
			}
		}
		f.report(severity, line, "service."+o.key, "goes with type %s, and this is %s: write type = %s, or remove it",
			typeWords[o.kind], typeWords[s.Type], inQuotes(typeWords[o.kind]))
	}
	if s.Oneshot() && s.Lifecycle.Restart == RestartOnSuccess {
		f.report(Error, f.lines["lifecycle.restart"], "lifecycle.restart",
			"on-success is not for a oneshot, which has done its work then: write \"on-failure\", or a [timer]")
	}
}

// terminal has standard input agree with the controlling terminal.
func (f *file) terminal(s *Service) {
	line := f.lines["service.stdin"]
	switch {
	case f.stdinUnknown:
	case s.TTY != "" && line > 0 && s.Stdin != StdinTTY:
		f.report(Error, line, "service.stdin", "is %s, and there is a tty: write stdin = \"tty\", or remove one of them", inQuotes(getStdin(s).(string)))
	case s.TTY != "":
		s.Stdin = StdinTTY
	case s.Stdin == StdinTTY && f.lines["service.tty"] == 0:
		f.report(Error, line, "service.stdin", "is \"tty\", and there is none: write tty = \"/dev/tty1\"")
	}
}

func (f *file) limits(s *Service) {
	l, high := s.Limits, "limits.memory_high"
	if l.MemoryMax > 0 && l.MemoryHigh > l.MemoryMax || l.MemoryMaxPercent > 0 && l.MemoryHighPercent > l.MemoryMaxPercent {
		f.report(Error, f.lines[high], high, "%s must be <= memory_max: it would never be reached", high)
	}
	if line := f.lines["service.requires_limits"]; line > 0 && s.RequiresLimits && f.lines["limits"] == 0 {
		f.report(Warning, line, "service.requires_limits", "has no effect: there is no [limits]")
	}
}

func (f *file) timer(s *Service) {
	t := s.Timer
	if t == nil {
		return
	}
	given := func(key string) bool {
		return f.lines["timer."+key] > 0 || slices.Contains(f.refused, "timer."+key)
	}
	if !given("every") && !given("on_boot") && !given("on_calendar") {
		f.report(Error, f.lines["timer"], "timer", "never starts anything: write every = \"1h\", on_boot = \"1m\" or on_calendar = \"@daily\"")
	}
	if t.Every > 0 && t.Jitter > t.Every {
		f.report(Error, f.lines["timer.jitter"], "timer.jitter", "timer.jitter must be <= every: starts would overtake each other")
	}
	if s.Status != StatusStart {
		f.report(Warning, f.lines["timer"], "timer", "starts nothing beside status = %s: remove that, a service with a timer is not started at boot",
			inQuotes(statusWords[s.Status]))
	}
	if s.Oneshot() && s.RemainAfterExit {
		f.report(Warning, f.lines["timer"], "timer", "starts it once only: with remain_after_exit it stays up, remove that")
	}
}

// sinks warns of what has no effect on the log.
func (f *file) sinks(s *Service) {
	l := s.Logging
	if l.None && l.File != "" {
		f.report(Error, f.lines["logging.log"], "logging.log", "is none, and there is a file: remove one of them")
		return
	}
	none := func(keys, why string) {
		for key := range strings.FieldsSeq(keys) {
			if line := f.lines["logging."+key]; line > 0 {
				f.report(Warning, line, "logging."+key, "has no effect: %s", why)
			}
		}
	}
	if l.File != "" && !filepath.IsAbs(l.File) {
		f.report(Warning, f.lines["logging.file"], "logging.file", "is a relative path: the file lies where the server was started, write an absolute one")
	}
	switch {
	case l.File == "":
		none("file_max file_age file_keep compress", "there is no logging.file")
	case l.FileMax == 0 && l.FileAge == 0:
		none("file_keep compress", "the file is never rotated without file_max or file_age")
	}
}

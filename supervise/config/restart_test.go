package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// atOnce has the fields of a service whose change needs no restart, and atStart
// those that need one: a name stands for all that is below it.
const (
	atOnce = `Name Source Digest Description Exec NotifyAccess Main RequiresLimits ReloadSignal SuccessStatus PreventStatus
		Hooks.Stop Hooks.StopPost Hooks.Reload Status Class Critical Ports KillOthers ProcessFilters
		Requires After Wants Conflicts Awaits Health Logging Timer
		Lifecycle.Restart Lifecycle.RestartExplicit Lifecycle.RestartDelay Lifecycle.RestartDelayMax Lifecycle.MaxRestarts
		Lifecycle.StabilityPeriod Lifecycle.StartTimeout Lifecycle.StopTimeout Lifecycle.StopSignal Lifecycle.HookTimeout`
	atStart = `Target Type Command.Argv Command.Shell Command.ShellWhy Dir Env EnvFiles InheritEnv Stdin TTY NotifyFD Watchdog PidFile Sockets
		RemainAfterExit Identity.User Identity.Group Identity.Groups
		Setup.Umask Setup.Nice Setup.OOMScoreAdj Setup.Capabilities Setup.NoNewPrivs Setup.Rlimits
		Hooks.StartPre Hooks.StartPost Limits.MemoryMax Limits.MemoryHigh Limits.MemoryMaxPercent Limits.MemoryHighPercent
		Limits.CPUQuota Limits.CPUWeight Limits.TasksMax Lifecycle.KillMode`
)

// fields calls f for each field of a service that is no struct, or is classified.
func fields(v reflect.Value, prefix string, known map[string]bool, f func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		name := prefix + v.Type().Field(i).Name
		_, classified := known[name]
		if field := v.Field(i); field.Kind() == reflect.Struct && !classified {
			fields(field, name+".", known, f)
		} else {
			f(name, field)
		}
	}
}

// other gives a field a value that it has not.
func other(t *testing.T, field reflect.Value) {
	switch field.Kind() {
	case reflect.String:
		field.SetString(field.String() + "x")
	case reflect.Bool:
		field.SetBool(!field.Bool())
	case reflect.Int, reflect.Int64, reflect.Int32:
		field.SetInt(field.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint64, reflect.Uint32:
		field.SetUint(field.Uint() ^ 2) // of the kinds of kill_mode: process
	case reflect.Pointer:
		field.Set(reflect.New(field.Type().Elem()))
	case reflect.Slice:
		one := reflect.New(field.Type().Elem()).Elem()
		if one.Kind() == reflect.Struct {
			other(t, one.FieldByName(map[string]string{"Hook": "IgnoreFailure", "EnvFile": "Path", "Rlimit": "Hard", "Socket": "Backlog"}[one.Type().Name()]))
		} else {
			other(t, one)
		}
		field.Set(reflect.Append(field, one))
	case reflect.Array:
		other(t, field.Index(0))
	case reflect.Struct:
		other(t, field.Field(0))
	default:
		t.Fatalf("a field of kind %s", field.Kind())
	}
}

func TestEveryFieldIsClassifiedByWhetherItsChangeNeedsARestart(t *testing.T) {
	known := map[string]bool{}
	for name := range strings.FieldsSeq(atOnce) {
		known[name] = false
	}
	for name := range strings.FieldsSeq(atStart) {
		if _, twice := known[name]; twice {
			t.Errorf("%s is in both lists", name)
		}
		known[name] = true
	}
	seen := map[string]bool{}
	was, is := Default(), Default()
	fields(reflect.ValueOf(is).Elem(), "", known, func(name string, field reflect.Value) {
		needs, classified := known[name]
		if !classified {
			t.Errorf("%s: does its change need a restart? Say so here, and in NeedsRestart", name)
			return
		}
		seen[name] = true
		before := reflect.New(field.Type()).Elem()
		before.Set(field)
		other(t, field)
		if reflect.DeepEqual(was, is) {
			t.Fatalf("%s has not changed", name)
		}
		if NeedsRestart(was, is) != needs || NeedsRestart(is, was) != needs {
			t.Errorf("%s: a restart is needed: %v, want %v", name, !needs, needs)
		}
		field.Set(before)
	})
	for name := range known {
		if !seen[name] {
			t.Errorf("there is no field %s", name)
		}
	}
}

func TestSmallDifferencesNeedNoRestart(t *testing.T) {
	service := func(edit func(s *Service)) *Service {
		s := Default()
		edit(s)
		return s
	}
	for _, c := range []struct {
		name    string
		was, is func(s *Service)
		needs   bool
	}{
		{"no variables", func(s *Service) { s.Env = nil }, func(s *Service) { s.Env = []string{} }, false},
		{"modes that end the group", func(s *Service) {}, func(s *Service) { s.Lifecycle.KillMode = KillCgroup }, false},
		{"the mode that leaves it", func(s *Service) { s.Lifecycle.KillMode = KillMixed }, func(s *Service) { s.Lifecycle.KillMode = KillProcess }, true},
		{"blanks in a line", func(s *Service) { s.Exec, s.Hooks.StartPre = "a  b", []Hook{direct("c  d", "c", "d")} },
			func(s *Service) { s.Exec, s.Hooks.StartPre = "a b", []Hook{direct("c d", "c", "d")} }, false},
		{"another limit", func(s *Service) { s.Setup.Rlimits = []Rlimit{{7, 1, 2}} }, func(s *Service) { s.Setup.Rlimits = []Rlimit{{7, 1, 3}} }, true},
		{"equal pointers", func(s *Service) { s.Setup.Nice, s.Timer = new(5), &Timer{Every: time.Hour} }, func(s *Service) { s.Setup.Nice = new(5) }, false},
		{"no capabilities are not all", func(s *Service) {}, func(s *Service) { s.Setup.Capabilities = &[]int{} }, true},
		{"nice 0 is not none", func(s *Service) {}, func(s *Service) { s.Setup.Nice = new(0) }, true},
	} {
		if got := NeedsRestart(service(c.was), service(c.is)); got != c.needs {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

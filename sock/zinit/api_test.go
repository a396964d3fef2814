package zinit_test

import (
	"testing"
	"time"

	"zinit/sock/zinit"
	"zinit/supervise/config/yaml"
)

// What a program for the original may rely on: each name with its signature, or its
// type. That this compiles is the test; but for the Version type it is the list in the
// documentation of the original.
var (
	_ func(string, zinit.InitService) error                      = zinit.AddService
	_ func(string) error                                         = zinit.RemoveService
	_ func(string) (zinit.InitService, error)                    = zinit.LoadService
	_ func() *zinit.Client                                       = zinit.Default
	_ func(string) *zinit.Client                                 = zinit.New
	_ func(string) zinit.Filter                                  = zinit.WithExec
	_ func(string) zinit.Filter                                  = zinit.WithExecRegex
	_ func(string) zinit.Filter                                  = zinit.WithName
	_ func(*zinit.Client) (zinit.Version, error)                 = (*zinit.Client).Version
	_ func(*zinit.Client) (map[string]zinit.ServiceState, error) = (*zinit.Client).List
)

type client interface {
	Destroy(timeout time.Duration, services ...string) error
	Exists(service string) (bool, error)
	Forget(service string) error
	Get(service string) (zinit.InitService, error)
	Kill(service string, sig zinit.Signal) error
	List() (out map[string]zinit.ServiceState, err error)
	Matches(filters ...zinit.Filter) ([]string, error)
	Monitor(service string) error
	Reboot() error
	Shutdown() error
	Start(service string) error
	StartMultiple(timeout time.Duration, service ...string) error
	StartWait(timeout time.Duration, service string) error
	Status(service string) (result zinit.ServiceStatus, err error)
	Stop(service string) error
	StopMultiple(timeout time.Duration, service ...string) error
	StopWait(timeout time.Duration, service string) error
	// As its examples call them.
	AddService(name string, service zinit.InitService) error
	RemoveService(name string) error
	LoadService(name string) (zinit.InitService, error)
}

type state interface {
	Any(states ...zinit.PossibleState) bool
	Exited() bool
	Is(state zinit.PossibleState) bool
	MarshalYAML() (interface{}, error)
	String() string
	UnmarshalText(text []byte) error
}

type readsYAML interface {
	UnmarshalYAML(unmarshal func(interface{}) error) error
}

func TestTheNamesOfTheOriginalClient(t *testing.T) {
	var _ client = zinit.New("/nowhere")
	var _ state = new(zinit.ServiceState)
	var _, _ readsYAML = new(zinit.LogType), new(zinit.ServiceTarget)
	_ = zinit.ServiceStatus{Name: "a", Pid: 1, State: zinit.ServiceState{}, Target: zinit.ServiceTargetUp, After: map[string]string{}}
	s := zinit.InitService{Exec: "a", Oneshot: true, Test: "b", After: []string{"c"}, Env: map[string]string{"D": "e"}, Log: zinit.RingLogType}
	// The constants, in the kinds of places where programs have them.
	for _, c := range []struct {
		is   zinit.PossibleState
		want string
	}{
		{zinit.ServiceStateUnknown, "unknown"}, {zinit.ServiceStateRunning, "running"}, {zinit.ServiceStateBlocked, "blocked"},
		{zinit.ServiceStateSpawned, "spawned"}, {zinit.ServiceStateSuccess, "success"}, {zinit.ServiceStateError, "error"}, {zinit.ServiceStateFailure, "failure"},
	} {
		if string(c.is) != c.want {
			t.Errorf("%s is %s", c.want, c.is)
		}
	}
	for _, log := range []zinit.LogType{zinit.StdoutLogType, zinit.RingLogType, zinit.NoneLogType} {
		s.Log = log
	}
	if zinit.ServiceTargetUp != "Up" || zinit.ServiceTargetDown != "Down" {
		t.Error("the targets have other words")
	}
	signals := []zinit.Signal{
		zinit.SIGABRT, zinit.SIGALRM, zinit.SIGBUS, zinit.SIGCHLD, zinit.SIGCLD, zinit.SIGCONT, zinit.SIGFPE, zinit.SIGHUP, zinit.SIGILL,
		zinit.SIGINT, zinit.SIGIO, zinit.SIGIOT, zinit.SIGKILL, zinit.SIGPIPE, zinit.SIGPOLL, zinit.SIGPROF, zinit.SIGPWR, zinit.SIGQUIT,
		zinit.SIGSEGV, zinit.SIGSTKFLT, zinit.SIGSTOP, zinit.SIGSYS, zinit.SIGTERM, zinit.SIGTRAP, zinit.SIGTSTP, zinit.SIGTTIN,
		zinit.SIGTTOU, zinit.SIGUNUSED, zinit.SIGURG, zinit.SIGUSR1, zinit.SIGUSR2, zinit.SIGVTALRM, zinit.SIGWINCH, zinit.SIGXCPU, zinit.SIGXFSZ,
	}
	for _, err := range []error{zinit.ErrUnknownService, zinit.ErrAlreadyMonitored, zinit.ErrNotSupported} {
		if err == nil {
			t.Error("an error is none")
		}
	}
	// A service file has the keys of the original, and leaves out what is empty.
	text, err := yaml.Marshal(zinit.InitService{Exec: "a"})
	if err != nil || string(text) != "exec: a\n" || len(signals) != 35 {
		t.Errorf("%q %v, %d signals", text, err, len(signals))
	}
}

package zinit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PossibleState represents the state of a service managed by zinit.
type PossibleState string

// The states of a service.
const (
	// ServiceStateUnknown is returned when we cannot determine the status of a service.
	ServiceStateUnknown PossibleState = "unknown"
	// ServiceStateRunning is returned when a service process is running and healthy.
	ServiceStateRunning = "running"
	// ServiceStateBlocked is returned if the service can't start because of an
	// unsatisfied dependency.
	ServiceStateBlocked = "blocked"
	// ServiceStateSpawned: the service has started, but zinit is not sure about its
	// status yet. This is usually a short-lived status, unless a test command is
	// provided: then it lasts until the test passes.
	ServiceStateSpawned = "spawned"
	// ServiceStateSuccess is returned when a one shot service exited without errors.
	ServiceStateSuccess = "success"
	// ServiceStateError is returned when a service exited with an error (exit code != 0).
	ServiceStateError = "error"
	// ServiceStateFailure is set if zinit cannot spawn a service in the first place,
	// due to a missing executable for example.
	ServiceStateFailure = "failure"
)

// ServiceState describes the service state.
type ServiceState struct {
	state  PossibleState
	reason string
}

// UnmarshalText reads a state as zinit writes it: "Running", "Error(Exited(Pid(1), 3))".
func (s *ServiceState) UnmarshalText(text []byte) error {
	word, reason, detailed := strings.Cut(string(text), "(")
	if detailed {
		var closed bool
		if reason, closed = strings.CutSuffix(reason, ")"); !closed || reason == "" {
			return fmt.Errorf("cannot read service state %q", text)
		}
	}
	other := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_')
	}
	if word == "" || strings.ContainsFunc(word, other) {
		return fmt.Errorf("cannot read service state %q", text)
	}
	s.state, s.reason = PossibleState(strings.ToLower(word)), reason
	return nil
}

// MarshalYAML is part of the YAML libraries.
func (s *ServiceState) MarshalYAML() (interface{}, error) { return s.String(), nil }

// String is the state, with the reason in parentheses if there is one.
func (s *ServiceState) String() string {
	if s.reason == "" {
		return string(s.state)
	}
	return string(s.state) + "(" + s.reason + ")"
}

// Is checks if service state is equal to a possible state.
func (s *ServiceState) Is(state PossibleState) bool { return s.state == state }

// Any checks if service state is equal to one of the possible states.
func (s *ServiceState) Any(states ...PossibleState) bool { return slices.Contains(states, s.state) }

// Exited is true if the service is in a (stopped) state.
func (s *ServiceState) Exited() bool {
	return s.Any(ServiceStateSuccess, ServiceStateError, ServiceStateFailure, ServiceStateBlocked)
}

// ServiceTarget represents the desired state of a service.
type ServiceTarget string

// The desired states.
const (
	// ServiceTargetUp means the service has been asked to start.
	ServiceTargetUp ServiceTarget = "Up"
	// ServiceTargetDown means the service has been asked to stop.
	ServiceTargetDown = "Down"
)

// UnmarshalYAML implements the yaml.Unmarshaler interface.
func (s *ServiceTarget) UnmarshalYAML(unmarshal func(interface{}) error) error {
	var text string
	if err := unmarshal(&text); err != nil {
		return err
	}
	switch strings.ToLower(text) {
	case "up":
		*s = ServiceTargetUp
	case "down":
		*s = ServiceTargetDown
	default:
		return errors.New("unknown service target: " + text)
	}
	return nil
}

// ServiceStatus represents the status of a service.
type ServiceStatus struct {
	Name   string            `json:"name"`
	Pid    int               `json:"pid"`
	State  ServiceState      `json:"state"`
	Target ServiceTarget     `json:"target"`
	After  map[string]string `json:"after"`
}

package server

import (
	"errors"
	"syscall"
	"testing"

	"zinit/applets/env"
	"zinit/sock"
)

func TestOnlyProcess1OfAMachineIsAskedToEndIt(t *testing.T) {
	for _, c := range []struct {
		flags  env.ServerFlags
		parent int
		want   bool
	}{
		{env.ServerFlags{Pid1Mode: true}, 1, true},
		{env.ServerFlags{Pid1Mode: true}, 812, false},
		{env.ServerFlags{}, 1, false},
		{env.ServerFlags{Pid1Mode: true, Container: true}, 1, false},
	} {
		if got := initOf(c.flags, c.parent) != nil; got != c.want {
			t.Errorf("%+v below %d: %v", c.flags, c.parent, got)
		}
	}
}

func TestTheMachineIsEndedOverTheWire(t *testing.T) {
	s := &server{}
	var got []syscall.Signal
	for _, m := range s.power() {
		if _, err := m.Handle(t.Context(), nil); !isWord(err, sock.WordNotInit) {
			t.Errorf("%s without an init of ours: %v", m.Name, err)
		}
	}
	if _, err := s.endMachine("Reboot", syscall.SIGINT); err == nil || err.Error() != "Reboot only available when running as PID 1" {
		t.Errorf("zinit 0.3.9 says something else: %v", err)
	}
	s.tellInit = func(sig syscall.Signal) error { got = append(got, sig); return nil }
	for _, m := range s.power() {
		if _, err := m.Handle(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	want := map[string]syscall.Signal{sock.MethodPoweroff: 15, sock.MethodReboot: 2, sock.MethodHalt: 37, sock.MethodKexec: 40}
	for i, m := range s.power() {
		if got[i] != want[m.Name] {
			t.Errorf("%s sends %d", m.Name, got[i])
		}
	}
	s.tellInit = func(syscall.Signal) error { return syscall.EPERM }
	if _, err := s.endMachine("Halt", 37); !isWord(err, sock.WordNotInit) {
		t.Errorf("refused by the kernel: %v", err)
	}
}

func isWord(err error, word string) bool {
	var e *sock.Error
	return errors.As(err, &e) && e.Word() == word
}

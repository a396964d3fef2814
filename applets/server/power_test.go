package server

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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
	loaded := filepath.Join(t.TempDir(), "kexec_loaded")
	for _, text := range []string{"0\n", "1\n"} {
		if err := os.WriteFile(loaded, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.endInKernel(loaded); isWord(err, sock.WordUnusable) != (text == "0\n") {
			t.Errorf("kexec with %q: %v", text, err)
		}
	}
	for _, m := range s.power() {
		if m.Name == sock.MethodKexec {
			continue // that was the first
		}
		if _, err := m.Handle(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	if want := []syscall.Signal{40, 15, 2, 37}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
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

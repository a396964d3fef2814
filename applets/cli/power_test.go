package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A machine is a /proc of a test.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) machine { return machine{t, t.TempDir()} }

// process adds a process that runs the file exe; without one it may not be seen.
func (m machine) process(pid, parent int, name, exe string) machine {
	dir := filepath.Join(m.dir, fmt.Sprint(pid))
	if err := os.Mkdir(dir, 0o700); err != nil {
		m.t.Fatal(err)
	}
	stat := fmt.Sprintf("%d (%s) S %d %[1]d %[1]d 0 -1 4194560\n", pid, name, parent)
	if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if exe != "" {
		if err := os.Symlink(exe, filepath.Join(dir, "exe")); err != nil {
			m.t.Fatal(err)
		}
	}
	return m
}

// binary makes a file of that name.
func (m machine) binary(name string) string {
	path := filepath.Join(m.dir, name)
	if err := os.WriteFile(path, nil, 0o700); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func TestProcess1IsOnlySignalledWhenItProvedToBeOurs(t *testing.T) {
	const server = 77 // as the fake says
	m := newMachine
	for _, test := range []struct {
		name  string
		where func(*testing.T) machine
		want  bool
	}{
		{"no /proc", m, false},
		{"another init, and a server of its own", func(t *testing.T) machine {
			return m(t).process(1, 0, "systemd", "/lib/systemd/systemd").process(70, 1, "zinit", "/x/zinit").process(server, 70, "zinit", "/x/zinit")
		}, false},
		{"another init that inherited the server", func(t *testing.T) machine {
			x := m(t)
			return x.process(1, 0, "systemd", x.binary("systemd")).process(server, 1, "zinit", x.binary("zinit"))
		}, false},
		{"another init that calls itself so", func(t *testing.T) machine {
			x := m(t)
			return x.process(1, 0, "zinit-pid1", x.binary("dumb-init")).process(server, 1, "zinit", x.binary("zinit"))
		}, false},
		{"zinit, but the server is of another keeper", func(t *testing.T) machine {
			x := m(t)
			zinit := x.binary("zinit")
			return x.process(1, 0, "zinit", zinit).process(70, 1, "zinit", zinit).process(server, 70, "zinit", zinit)
		}, false},
		{"zinit, but the server is out of sight", func(t *testing.T) machine { return m(t).process(1, 0, "zinit", "/sbin/zinit") }, false},
		{"the same binary by another name", func(t *testing.T) machine {
			x := m(t)
			init := x.binary("init")
			return x.process(1, 0, "init", init).process(server, 1, "z) S 9 (x", init)
		}, true},
		{"the binary has been replaced since", func(t *testing.T) machine {
			x := m(t)
			return x.process(1, 0, "zinit", "/sbin/zinit (deleted)").process(server, 1, "zinit", x.binary("zinit"))
		}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := host{proc: test.where(t).dir}.isInit(server)
			if err != nil || got != test.want {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestPower(t *testing.T) {
	var signals []string
	ours := newMachine(t)
	zinit := ours.binary("zinit")
	ours.process(1, 0, "zinit-pid1", zinit).process(77, 1, "zinit-server", zinit)
	kill := func(pid int, signal syscall.Signal) error {
		signals = append(signals, fmt.Sprintf("%d to %d", signal, pid))
		return nil
	}
	f := newFake(t, world())
	s := &stage{env: map[string]string{"ZINIT_SOCKET": f.path}, spy: f, hide: []string{f.path, "$SOCKET"}}

	s.host = host{ours.dir, kill}
	s.run("poweroff")
	s.run("reboot")
	if got := strings.Join(signals, ", "); got != "15 to 1, 2 to 1" {
		t.Errorf("signals: %s", got)
	}
	s.host.kill = func(int, syscall.Signal) error { return syscall.EPERM }
	s.run("poweroff")
	s.run("reboot", "-s", "/nonexistent/zinit.sock")

	s.host = host{newMachine(t).process(1, 0, "systemd", "/lib/systemd/systemd").dir, func(int, syscall.Signal) error {
		t.Error("a stranger was signalled")
		return nil
	}}
	s.run("reboot", "-s", "/nonexistent/zinit.sock")
	s.run("reboot")
	s.compare(t, "power")
}

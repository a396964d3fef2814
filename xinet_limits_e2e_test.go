package main_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Fault 8: xinet may have no more files. Who comes waits, and is served when others
// have left; it is said once, and nothing spins.
func TestFault8XinetWithoutDescriptorsHasConnectionsWait(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	back, front := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front")
	in.write("echo", echoer(t, "echo", back))
	in.launch()
	in.must("xinet", "set", "p", "--listen", front, "--backend", back, "--service", "echo")
	first := in.connect(front)
	first.echoes("before")
	pid := in.xinets()[0]
	const limit, more = 50, 30
	defer limitFiles(t, pid, limit)()
	used := cpuTime(t, pid)
	answers := make(chan line, more)
	for range more {
		l := in.connect(front)
		if _, err := l.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		go func() {
			if _, err := l.Read(make([]byte, 1)); err != nil {
				t.Errorf("one who waited was lost: %v", err)
			}
			answers <- l
		}()
	}
	in.until("it is said", func() (string, bool) {
		return in.log.String(), in.log.contains("warn", "cannot accept connections, which wait", "raise it")
	})
	if n := in.proxyStatus("p").Active; n < 2 || n > limit/2 {
		t.Errorf("%d are carried with %d descriptors", n, limit)
	}
	first.echoes("meanwhile")
	for range more {
		(<-answers).Close() // there is room for another
	}
	if used = cpuTime(t, pid) - used; used > time.Second {
		t.Errorf("it used %s meanwhile", used)
	}
	if n := strings.Count(in.log.String(), "cannot accept connections"); !in.tells("cannot accept connections") || n > 1 {
		t.Errorf("it is said %d times", n)
	}
	first.echoes("after")
}

// Fault 6: the disk is full while a proxy is set.
func TestFault6AFullDiskLeavesTheOldProxy(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	back, front, other := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front"), filepath.Join(in.dir, "other")
	in.write("echo", echoer(t, "echo", back))
	in.confine("tmpfs:" + in.config)
	in.launch()
	in.must("xinet", "set", "p", "--listen", front, "--backend", back, "--service", "echo")
	l := in.connect(front)
	l.echoes("before")
	before := tree(t, in.inside(in.config))
	makeRoom := in.fill(in.config)
	for _, name := range []string{"p", "fresh"} {
		out, code := in.zinit("xinet", "set", name, "--listen", other, "--backend", back, "--service", "echo")
		if code == 0 || !strings.Contains(out, name+".xinet.toml") || !strings.Contains(out, "no space left on device") {
			t.Errorf("set %s: code %d: %s", name, code, out)
		}
		if _, err := net.Dial("unix", other); err == nil {
			t.Errorf("what was refused for %s is listened on", name)
		}
	}
	if list := in.must("xinet", "list"); strings.Contains(list, "fresh") {
		t.Errorf("the proxies are %s", list)
	}
	l.echoes("still")
	in.connect(front).echoes("the old one")
	makeRoom()
	if after := tree(t, in.inside(in.config)); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the files were %q and are %q", before, after)
	}
	in.must("xinet", "set", "p", "--listen", other, "--backend", back, "--service", "echo")
	in.connect(other).echoes("there is room again")
	if _, err := net.Dial("unix", front); err == nil {
		t.Error("the old address is still listened on")
	}
}

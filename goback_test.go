package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idle says that it is zinit, and is a server that is never ready.
const idle = `package main

import ("fmt"; "os"; "time")

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-V" {
		fmt.Println("zinit 9.9.9")
		return
	}
	<-time.After(time.Hour)
}
`

// Whoever runs an upgrade may be gone in the middle of it.
func TestTheKeeperGoesBackByItselfWhenAnUpgradeIsKilled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, why string }{
		"to a program that ends":         {fraud, "has failed 5 times: going back"},
		"to a program that is not ready": {idle, "no server of the new program was ready within 15s: going back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			d := in.observed("still", "still")
			place := in.ofItsOwn()
			in.launch()
			in.lived("still", d, 1)
			check, server := in.untouched("still"), in.serverPID()
			good, err := os.Stat(place)
			if err != nil {
				t.Fatal(err)
			}
			bad := compiled(t, filepath.Join(t.TempDir(), "bad"), "", c.source)
			upgrade := exec.Command(filepath.Join(binDir(t), "zinit"), "--socket", in.socket, "upgrade", bad, "--timeout", "1h")
			upgrade.Env = in.env
			if err := upgrade.Start(); err != nil {
				t.Fatal(err)
			}
			in.until("the end of the server", func() (string, bool) {
				return in.log.String(), in.log.contains("to be replaced: starting the next")
			})
			upgrade.Process.Kill()
			upgrade.Wait() // it was killed
			began := time.Now()
			in.until("the keeper to go back", func() (string, bool) { return in.log.String(), in.log.contains(c.why) })
			pid := in.another(server)
			t.Logf("it took %v", time.Since(began))
			if runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid)); err != nil || !os.SameFile(runs, good) {
				t.Errorf("the server does not run the old program: %v, %v", runs, err)
			}
			check()

			// The next one is of the same file; the bad one is tried again only when
			// somebody wants it.
			in.takeover(func(server int) { in.send(server, syscall.SIGKILL) })
			if n := strings.Count(in.log.String(), "going back"); !in.tells("going back") || n > 1 {
				t.Errorf("it went back %d times", n)
			}
			keeper := in.keeperPID()
			if before := strings.Count(in.log.String(), remains); before != 0 {
				t.Fatal("somebody wanted another keeper")
			}
			in.keeper.Process.Signal(syscall.SIGUSR2)
			in.until("a refusal", func() (string, bool) {
				return in.log.String(), in.log.contains(remains, "has failed as a server")
			})

			// Another bad one does not cost the only good program that is left.
			worse := compiled(t, filepath.Join(t.TempDir(), "worse"), "", fraud)
			out, code := in.zinit("upgrade", worse, "--timeout", "20s")
			if code != 1 || !strings.Contains(out, worse+" (zinit 9.9.9)") || !strings.Contains(out, "the old program is back and runs") {
				t.Errorf("exit code %d: %s", code, out)
			}
			if is, err := os.Stat(place); err != nil || !os.SameFile(is, good) {
				t.Errorf("the old program is not back: %v, %v", is, err)
			}
			check()

			// A good one goes to where it belongs, whatever the old one is called now.
			next := compiled(t, filepath.Join(t.TempDir(), "next"), "0.4.2", "")
			in.must("upgrade", next, "--keeper")
			if out := in.must("ping"); !strings.Contains(out, "v0.4.2") {
				t.Errorf("ping says %s", out)
			}
			is, err := os.Stat(place)
			if runs, statErr := os.Stat(fmt.Sprintf("/proc/%d/exe", keeper)); err != nil || statErr != nil || !os.SameFile(runs, is) {
				t.Errorf("the keeper does not run the new program: %v, %v, %v", runs, err, statErr)
			}
			check()
			in.lived("still", d, 1)
			in.shutdown()
		})
	}
}

// another waits for the answer of another server.
func (in *instance) another(old int) (pid int) {
	in.t.Helper()
	in.until("another server", func() (string, bool) {
		var err error
		pid, err = ping(shortly(in.t), in.socket)
		return fmt.Sprint(pid, err), err == nil && pid != old
	})
	return pid
}

func TestAnUpgradeLearnsThatTheKeeperWentBack(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"web": file("web", quiet)})
	place := in.ofItsOwn()
	in.launch()
	in.waitState("web", "running")
	check := in.untouched("web")
	began := time.Now()
	out, code := in.zinit("upgrade", compiled(t, filepath.Join(t.TempDir(), "fraud"), "", fraud), "--timeout", "20s")
	if code != 1 || !strings.Contains(out, "went back") || !strings.Contains(out, "the old program is back and runs") {
		t.Errorf("exit code %d: %s", code, out)
	}
	t.Logf("it took %v", time.Since(began))
	if runs, err := os.Stat(fmt.Sprintf("/proc/%d/exe", in.serverPID())); err != nil {
		t.Error(err)
	} else if is, err := os.Stat(place); err != nil || !os.SameFile(runs, is) {
		t.Errorf("at the path is %v, %v", is, err)
	}
	check()
	in.shutdown()
}

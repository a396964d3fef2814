package main_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
)

// ends are how a server ends while somebody waits for it.
var ends = map[string]func(in *instance){
	"killed":   func(in *instance) { send(in.t, in.serverPID(), syscall.SIGKILL) },
	"replaced": func(in *instance) { send(in.t, in.keeperPID(), syscall.SIGUSR1) },
}

// TestWhoWaitsBehindAProxyIsServedByTheNextServer: the service that was asked for comes
// up under another server.
func TestWhoWaitsBehindAProxyIsServedByTheNextServer(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			back, front := filepath.Join(in.dir, "back"), filepath.Join(in.dir, "front")
			in.write("slow", file("slow", "sleep 2", `type = "oneshot"`, stopped))
			in.write("echo", echoer(t, "echo", back)+"\n[dependencies]\nrequires = [\"slow\"]\n")
			in.launch()
			in.must("xinet", "set", "p", "--listen", front, "--backend", back, "--service", "echo")
			one := in.connect(front)
			in.waitState("slow", "running")
			end(in)
			one.echoes("who waited")
		})
	}
}

// TestAWaitGoesOnWithTheNextServer: also when the one that was asked has left.
func TestAWaitGoesOnWithTheNextServer(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, nil)
			in.write("slow", file("slow", "sleep 2", `type = "oneshot"`))
			in.launch()
			in.waitState("slow", "running")
			said := make(chan string, 1)
			go func() {
				out, code := in.zinit("wait", "--state", "exited", "--timeout", patience.String(), "slow")
				said <- fmt.Sprintf("exit code %d: %s", code, out)
			}()
			end(in)
			if got := <-said; got != "exit code 0: slow is exited\n" {
				t.Error(got)
			}
		})
	}
}

// TestMoreProxiesThanTheLoopHasRoomForRequests come up with the server, and under the next.
func TestMoreProxiesThanTheLoopHasRoomForRequests(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	in.write("echo", echoer(t, "echo", filepath.Join(in.dir, "back")))
	const many = 300
	for i := range many {
		in.write(fmt.Sprint("p", i), fmt.Sprintf("[xinet]\nname = \"p%d\"\nlisten = [\"unix:%s/p%[1]d\"]\nbackend = \"unix:%[2]s/back\"\nservice = \"echo\"\n", i, in.dir))
	}
	in.launch()
	in.must("ping")
	in.connect(filepath.Join(in.dir, fmt.Sprint("p", many-1))).echoes("the first server")
	in.send(in.serverPID(), syscall.SIGKILL)
	in.must("ping")
	in.connect(filepath.Join(in.dir, "p0")).echoes("the next one")
}

package main_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFollowedLogsLoseAndDoubleNothing: zinit logs -f shows each line of a service
// once, while servers die.
func TestFollowedLogsLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"talks": file("talks", `sh -c 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.005; done'`),
	})
	in.waitState("talks", "running")
	cmd := exec.Command(filepath.Join(binDir(t), "zinit"), "--socket", in.socket, "logs", "-f", "-n", "100000", "talks")
	cmd.Env, cmd.Stderr = in.env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // by a signal: see below
	defer cmd.Process.Kill()
	lines := make(chan string, 10_000)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	n := 0
	read := func(to int) {
		t.Helper()
		late := time.After(patience)
		for n < to {
			select {
			case text, ok := <-lines:
				if n++; !ok || !strings.HasSuffix(text, fmt.Sprintf("] line %d", n)) {
					t.Fatalf("line %d is %q", n, text)
				}
			case <-late:
				t.Fatalf("after line %d comes nothing", n)
			}
		}
	}
	read(50)
	for range 3 {
		in.killServer()
		read(n + 100)
	}
}

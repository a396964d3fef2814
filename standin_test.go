package main_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mute is a server that never takes over and never ends.
const mute = "#!/bin/sh\nexec sleep 100000\n"

// feeble is a server that ends before it is ready, but not at once.
const feeble = "#!/bin/sh\nsleep 3\nexit 3\n"

// TestServicesWriteOnWithoutAServer: more than their pipes hold, while no server
// comes that is any good; the next good one has every line.
func TestServicesWriteOnWithoutAServer(t *testing.T) {
	for name, program := range map[string]string{"it ends soon": feeble, "it never takes over": mute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const lines = 10_000
			in := newInstance(t, nil)
			flag := func(name string) string { return filepath.Join(in.dir, name) }
			writer := func(name string) string {
				return fmt.Sprintf(`/bin/sh -c 'until test -e %s; do sleep 0.05; done; i=0; while test $i -lt %d; do i=$((i+1)); echo line $i of a text that is longer than a pipe; done; : >%s; exec sleep 100000'`,
					flag("go"), lines, flag(name+".done"))
			}
			in.write("kept", file("kept", writer("kept"), "[logging]\nbuffer_lines = 20000"))
			in.write("filed", file("filed", writer("filed"), fmt.Sprintf("[logging]\nfile = %q", flag("filed.out"))))
			place := in.ofItsOwn()
			good, err := os.ReadFile(place)
			if err != nil {
				t.Fatal(err)
			}
			in.launch()
			in.waitState("kept", "running")
			in.waitState("filed", "running")
			check, server := in.untouched("kept", "filed"), in.serverPID()
			replace(t, place, []byte(program))
			in.send(server, syscall.SIGKILL)
			if err := os.WriteFile(flag("go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"kept", "filed"} {
				in.until(name+" has written everything", func() (string, bool) {
					_, err := os.Stat(flag(name + ".done"))
					return fmt.Sprint(err), !errors.Is(err, fs.ErrNotExist)
				})
			}
			if !in.tells("the keeper itself reads what services write") {
				t.Errorf("the keeper says:\n%s", in.log.String())
			}
			replace(t, place, good)
			in.until("a server", func() (string, bool) {
				pid, err := ping(shortly(t), in.socket)
				return fmt.Sprint(pid, err), err == nil && pid != server
			})
			check()
			var want strings.Builder
			for i := range lines {
				fmt.Fprintf(&want, "line %d of a text that is longer than a pipe\n", i+1)
			}
			in.until("the log file has it", func() (string, bool) {
				text, err := os.ReadFile(flag("filed.out"))
				return fmt.Sprintf("%d bytes, %v", len(text), err), string(text) == want.String()
			})
			in.until("the store has it", func() (string, bool) {
				text, err := os.ReadFile(filepath.Join(in.dir, "zinit", "logs", "kept.log"))
				return fmt.Sprintf("%d bytes, %v", len(text), err), string(text) == want.String()
			})
		})
	}
}

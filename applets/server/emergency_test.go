package server

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"zinit/supervise/config"
	"zinit/supervise/launch"
)

func TestACriticalFailureIsExplainedAndGivesAShell(t *testing.T) {
	for _, c := range []struct {
		name    string
		there   string
		network bool
		argv    []string
		says    []string
	}{
		{"with a shell", "/bin/sh", true, []string{"/bin/sh"}, []string{"SSH may work", "an emergency shell is on /dev/console"}},
		{"with busybox alone", "/bin/busybox", false, []string{"/bin/busybox", "sh"}, []string{"use the console"}},
		{"without", "", false, nil, []string{"there is no emergency shell"}},
	} {
		var text bytes.Buffer
		var orders []launch.Order
		e := emergency{
			log:    slog.New(slog.NewTextHandler(&text, nil)),
			spawn:  func(o launch.Order) { orders = append(orders, o) },
			exists: func(path string) bool { return path == c.there },
			run:    3,
		}
		e.critical("db", "exit code 1; given up after 3 restarts", func(service string) bool { return service == "network" && c.network })
		for _, word := range append(c.says, "CRITICAL FAILURE: db has failed: exit code 1", "zinit logs db") {
			if !strings.Contains(text.String(), word) {
				t.Errorf("%s: it does not say %q:\n%s", c.name, word, text.String())
			}
		}
		if c.argv == nil {
			if len(orders) != 0 {
				t.Errorf("%s: started %v", c.name, orders)
			}
			continue
		}
		if len(orders) != 1 {
			t.Fatalf("%s: %d orders", c.name, len(orders))
		}
		if o := orders[0]; o.Key != emergencyKey || o.Run != 4 || !slices.Equal(o.Command.Argv, c.argv) ||
			o.Service.TTY != "/dev/console" || o.Service.Stdin != config.StdinTTY {
			t.Errorf("%s: ordered %+v", c.name, o)
		}
	}
}

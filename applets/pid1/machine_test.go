package pid1

import (
	"fmt"
	"testing"

	"zinit/applets/env"
	"zinit/applets/pid1/host"
)

// TestAWordForUsThatMeansNothingIsNamed: once, and not again by a program that takes over.
func TestAWordForUsThatMeansNothingIsNamed(t *testing.T) {
	m := machinery{
		up:   func(func(format string, args ...any)) {},
		asks: func() host.Cmdline { return host.ParseCmdline("quiet zinit.log=loud") },
	}
	for first, want := range map[bool]string{
		true:  "the kernel's command line: zinit.log=loud means nothing here: zinit.log=LEVEL (trace, debug, info, warn or error) and zinit.debug do",
		false: "",
	} {
		flags, said := env.ServerFlags{LogLevel: "info"}, ""
		m.begin(&flags, first, func(format string, args ...any) { said += fmt.Sprintf(format, args...) })
		if said != want || flags.LogLevel != "warn" {
			t.Errorf("first %v: it said %q, level %s", first, said, flags.LogLevel)
		}
	}
}

//go:build !linux

package applets

import (
	"fmt"
	"runtime"

	"zinit/applets/cli"
	"zinit/applets/env"
)

// list is every applet, in the order of the overview: services run on Linux only.
func list() []Applet {
	return []Applet{
		{Name: "zinit", Summary: "look at services and control them", Main: cli.Main},
		{Name: "zinit-server", Hidden: true, Main: elsewhere},
		{Name: "zinit-pid1", Hidden: true, Main: elsewhere},
		{Name: "xinet", Hidden: true, Main: elsewhere},
		{Name: "init", Hidden: true, Main: elsewhere},
	}
}

func elsewhere(e *env.Env) int {
	fmt.Fprintf(e.Stderr, "%s: there is no server for %s: run it on linux; zinit, the command line, is here\n",
		e.Name(), runtime.GOOS)
	return env.ExitFailed
}

func whereAmI(int, func(string) string) place { return ordinary }

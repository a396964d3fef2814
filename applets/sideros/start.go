package sideros

import (
	"fmt"
	"os"
	"syscall"

	"zinit/applets/cli"
	"zinit/applets/env"
	"zinit/applets/pid1"
	"zinit/supervise/config"
)

// Main is the applet start. As process 1 it is the keeper whatever the words are: a
// kernel passes on those that it does not know.
func Main(e *env.Env) int {
	words := e.Args[min(1, len(e.Args)):]
	first := os.Getpid() == 1
	told := len(words) > 0 && words[0] == "init"
	if !first && !told {
		return cli.Start(e)
	}
	if told {
		words = words[1:]
	}
	file := e.StartFile()
	s, problems := config.LoadStart(file)
	for _, p := range problems {
		fmt.Fprintf(e.Stderr, "start: %s\n", p)
	}
	if first && s.Hostname != "" {
		// A container may have no right to, and has a name already.
		if err := syscall.Sethostname([]byte(s.Hostname)); err != nil {
			fmt.Fprintf(e.Stderr, "start: cannot set the host name %s: %v\n", s.Hostname, err)
		}
	}
	copied := *e
	copied.Args = append(append([]string{"init"}, flags(e, file, s)...), words...)
	return pid1.Main(&copied)
}

// flags are those that say what the file says. What somebody else has said, in the
// environment or after them, is stronger.
func flags(e *env.Env, file string, s config.Start) []string {
	var list []string
	if e.Getenv("ZINIT_CONFIG_DIR") == "" {
		dir := s.ServicesDir
		if dir == "" {
			dir = env.SiderosServices
		}
		list = append(list, "--config-dir="+dir)
	}
	if s.RuntimeDir != "" && e.Getenv("ZINIT_SOCKET") == "" {
		list = append(list, "--socket="+env.SocketIn(s.RuntimeDir))
	}
	if s.LogLevel != "" && e.LogLevel("", "") == "" {
		list = append(list, "--log-level="+s.LogLevel)
	}
	if s.LogFile != "" {
		list = append(list, "--log-file="+s.LogFile)
	}
	return append(list, "--start-file="+file, env.ReportFlag)
}

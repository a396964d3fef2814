package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"zinit/applets/env"
	"zinit/sock"
	"zinit/supervise/config"
)

const startUsage = `usage: start [-s PATH] COMMAND

  init                    be process 1; flags as those of init
  start, stop, restart    NAME
  status [NAME], list     inactive, starting, active, stopping, failed, restarting
  new NAME EXEC [-o FILE] add a service; FILE gets what it prints
  shutdown [--reboot]     end the machine, when this is its process 1
`

// Start is the command line of sideros-start, whose first word is not init.
func Start(e *env.Env) int {
	s := &session{env: e, terminal: isTerminal(e.Stdout), now: time.Now, host: thisHost()}
	return runStart(s)
}

func runStart(s *session) int {
	code := s.start(s.env.Args[min(1, len(s.env.Args)):])
	s.close()
	if err := s.flush(); err != nil && code == env.ExitDone {
		return s.fail(err)
	}
	return code
}

// start carries a command out.
func (s *session) start(args []string) int {
	s.call.flags = map[string][]string{}
	var words []string
	for ; len(args) > 0; args = args[1:] {
		takes := map[string]string{"-o": "output", "-s": "socket", "--socket": "socket"}[args[0]]
		switch {
		case args[0] == "-h" || args[0] == "--help":
			s.print(startUsage)
			return env.ExitDone
		case args[0] == "-V" || args[0] == "--version":
			s.printf("start %s\n", env.Version)
			return env.ExitDone
		case args[0] == "--reboot":
			s.call.flags["reboot"] = []string{""}
		case takes != "" && len(args) > 1:
			s.call.flags[takes] = []string{args[1]}
			args = args[1:]
		case len(args[0]) > 1 && args[0][0] == '-':
			return s.startUsage("unknown flag, or one without its value: " + args[0])
		default:
			words = append(words, args[0])
		}
	}
	if !s.call.has("socket") && s.env.Getenv("ZINIT_SOCKET") == "" {
		if file := s.startFile(); file.RuntimeDir != "" {
			s.call.flags["socket"] = []string{env.SocketIn(file.RuntimeDir)}
		}
	}
	return s.startCommand(words)
}

// startFile is the global file. What is wrong with it is for start init to tell.
func (s *session) startFile() config.Start {
	file, _ := config.LoadStart(s.env.StartFile())
	return file
}

func (s *session) startUsage(why string) int {
	io.WriteString(s.env.Stderr, "start: "+why+"\n\n"+startUsage) // nobody is left to tell when this fails
	return env.ExitUsage
}

func (s *session) startCommand(words []string) int {
	if len(words) == 0 {
		return s.startUsage("no command was named")
	}
	commands := map[string]struct {
		verb     string // what it is of zinit
		min, max int
		run      func(*session) int
	}{
		"start": {"start", 1, 1, start}, "stop": {"stop", 1, 1, stop}, "restart": {"restart", 1, 1, restart},
		"status": {"status", 0, 1, startStatus}, "list": {"list", 0, 0, startStatus},
		"new": {"add-service", 2, 2, startNew}, "shutdown": {"poweroff", 0, 0, startShutdown},
	}
	c, known := commands[words[0]]
	switch n := len(words) - 1; {
	case !known:
		return s.startUsage(fmt.Sprintf("unknown command %q", words[0]))
	case n < c.min || n > c.max:
		return s.startUsage(words[0] + ": too many words, or too few")
	case s.call.has("reboot") && words[0] != "shutdown", s.call.has("output") && words[0] != "new":
		return s.startUsage(words[0] + ": a flag of another command")
	}
	s.call.verb, s.call.words = &verb{name: c.verb}, words[1:]
	return c.run(s)
}

// startStatus shows the states of all services, or of one, in the words of
// sideros-start.
func startStatus(s *session) int {
	var services []sock.ServiceInfo
	if err := s.ask(sock.MethodListFull, nil, &services); err != nil {
		return s.fail(err)
	}
	if len(s.call.words) == 0 && len(services) == 0 {
		return s.none()
	}
	found := false
	for i := range services {
		if r := &services[i]; len(s.call.words) == 0 || r.Name == s.call.words[0] {
			found = true
			s.printf("%-20s %s", escape(r.Name), siderosState(r))
			if r.State.PID > 0 {
				s.printf(" (pid: %d)", r.State.PID)
			}
			if why := s.reason(r.Name, r.State, &r.Details); why != "" {
				s.print("  " + why)
			}
			s.print("\n")
		}
	}
	if !found && len(s.call.words) > 0 {
		return s.fail(&sock.Error{Code: sock.CodeServiceNotFound, Message: "service not found: " + s.call.words[0]})
	}
	return env.ExitDone
}

// siderosState is a state in the words of sideros-start.
func siderosState(r *sock.ServiceInfo) string {
	switch {
	case r.NextStartMs > 0 && r.State.PID == 0:
		return "restarting"
	case r.State.State == sock.Running:
		return "active"
	case r.State.State == sock.Starting:
		return "starting"
	case r.State.State == sock.Stopping:
		return "stopping"
	case r.State.State == sock.Failed:
		return "failed"
	}
	return "inactive" // blocked and exited are no states of their own there
}

// startNew adds a service that is not there yet.
func startNew(s *session) int {
	name := s.call.words[0]
	var names []string
	if err := s.ask(sock.MethodList, nil, &names); err != nil {
		return s.fail(err)
	}
	for _, other := range names {
		if other == name {
			return s.fail(fmt.Errorf("%s is there already: remove it with zinit remove, or choose another name", name))
		}
	}
	service := map[string]any{"service": map[string]any{"name": name, "exec": s.call.words[1]}}
	if file := s.call.value("output", ""); file != "" {
		service["logging"] = map[string]any{"file": file}
	}
	if times := s.startFile().Defaults.Said(); len(times) > 0 {
		service["lifecycle"] = times // the file of a service that is set says everything
	}
	text, err := json.Marshal(service)
	if err != nil {
		return s.fail(err)
	}
	if _, err := s.add(text); err != nil {
		return s.fail(err)
	}
	return env.ExitDone
}

// startShutdown ends the machine, as zinit poweroff and zinit reboot do.
func startShutdown(s *session) int {
	if s.call.has("reboot") {
		s.call.verb.name = "reboot"
		return reboot(s)
	}
	return poweroff(s)
}

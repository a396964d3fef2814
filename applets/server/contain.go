package server

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"zinit/applets/env"
	"zinit/reap"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/launch"
)

// commandName is the service that the command of a container becomes.
const commandName = "main"

// commandService is that service. Its end is the container's, whatever its code.
func commandService(argv []string) *config.Service {
	svc := config.Default()
	svc.Name, svc.Main = commandName, true
	svc.Description = "the command of the container"
	svc.Exec, svc.Command.Argv = commandLine(argv), argv
	svc.Lifecycle.Restart = config.RestartNever
	return svc
}

// commandLine shows words as a shell would be told them.
func commandLine(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if words[i] = w; w == "" || strings.ContainsFunc(w, special) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func special(r rune) bool {
	return r <= ' ' || strings.ContainsRune("\"'`$\\|&;<>()*?[]{}~#!", r)
}

// addCommand adds the service of the command to a configuration. It is what the
// container was started for, so a file that has its name is passed over.
func (s *server) addCommand(set *config.Set) {
	if s.command == nil {
		return
	}
	set.Services = slices.DeleteFunc(set.Services, func(svc *config.Service) bool {
		if svc.Name != commandName {
			return false
		}
		set.Problems = append(set.Problems, config.Problem{
			File: svc.Source, Key: "service.name", Service: commandName, Severity: config.Warning,
			Message: "'" + commandName + "' is the command of the container: this file is not loaded; give it another name",
		})
		return true
	})
	set.Services = append(set.Services, s.command)
}

// mayBeWithout reports that a configuration could not be read only because there is no
// directory: an image that holds nothing but a command needs none.
func (s *server) mayBeWithout(err error) bool {
	return s.flags.Container && errors.Is(err, fs.ErrNotExist)
}

// lentStreams are those that a main service gets; nil: this is no container.
func lentStreams(e *env.Env, flags env.ServerFlags) *launch.Streams {
	in, ok := e.Stdin.(*os.File)
	out, also := e.Stdout.(*os.File)
	errs, all := e.Stderr.(*os.File)
	if !flags.Container || !ok || !also || !all {
		return nil
	}
	// A keeper that is not process 1 has not got its terminal to give it away.
	return &launch.Streams{Stdin: in, Stdout: out, Stderr: errs, Terminal: os.Getppid() == 1}
}

// containParts gives a supervisor what it needs in a container, and the time that a
// shutdown may take.
func containParts(flags env.ServerFlags, keeper *reap.Client, to *supervise.Parts) {
	// The keeper needs the rest for when services do not end, or this process hangs.
	to.StopWithin = flags.StopTimeout * 3 / 4
	if flags.Container {
		to.MainEnded, to.Stdout = keeper.ExitWith, true
	}
}

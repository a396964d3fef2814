package applets

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"zinit/applets/env"
)

// An Applet is one program of the binary.
type Applet struct {
	// Name is what the binary is called by to be this program.
	Name string
	// Summary is one line for people.
	Summary string
	// Hidden applets are started by others of the binary; nobody links or lists
	// them.
	Hidden bool
	// Init applets are for machines whose process 1 is zinit: elsewhere they would stand
	// in the way of those of another init. They are linked on demand.
	Init bool
	// Main runs the program and returns its exit code.
	Main func(*env.Env) int
}

// place is where a process stands.
type place uint8

const (
	ordinary    place = iota
	ofContainer       // process 1 of a container
	ofMachine         // process 1 of a machine
)

// Main runs the applet that the arguments, with the program's name first, ask for
// and returns its exit code.
func Main(argv []string) int {
	e := &env.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv,
		UID:    os.Geteuid(),
	}
	return run(e, argv, whereAmI(os.Getpid(), os.Getenv))
}

func run(e *env.Env, argv []string, p place) int {
	if p != ofMachine && baseName(argv) == "zinit" && len(argv) > 1 && argv[1] == "--install" {
		return install(e, argv[2:])
	}
	a, args, ok := find(list(), argv, p)
	if !ok {
		fmt.Fprintf(e.Stderr, "%s: there is no applet of this name: call the binary by one of these\n%s",
			args[0], overview(list()))
		return env.ExitNoApplet
	}
	e.Args = args
	return a.Main(e)
}

func say(e *env.Env, text string) int {
	if _, err := io.WriteString(e.Stdout, text); err != nil {
		return env.ExitFailed
	}
	return env.ExitDone
}

// Find gives the applet that the arguments, with the program's name first, ask
// for, and the arguments as it expects them: the name under which it was found,
// then the rest. This process is taken for an ordinary one.
func Find(argv []string) (a Applet, args []string, ok bool) {
	return find(list(), argv, ordinary)
}

func find(all []Applet, argv []string, p place) (Applet, []string, bool) {
	name, rest := baseName(argv), []string(nil)
	if len(argv) > 1 {
		rest = argv[1:]
	}
	if name == "zinit" && len(rest) > 1 && (rest[0] == "-d" || rest[0] == "--debug") && rest[1] == "init" {
		rest = append([]string{rest[1], rest[0]}, rest[2:]...) // zinit 0.2 has the flag in front
	}
	known := func(name string) bool {
		return slices.ContainsFunc(all, func(a Applet) bool { return a.Name == name })
	}
	switch {
	case name == "zinit" && len(rest) > 0 && byWord(rest[0]) != "":
		name, rest = byWord(rest[0]), rest[1:]
	case p == ofContainer && !known(name), p == ofContainer && name == "zinit" && !hasCommand(rest):
		name = "zinit-pid1"
	}
	if p == ofMachine && name != "init" && name != "start" && name != "zinit-server" {
		name = "zinit-pid1"
	}
	args := append([]string{name}, rest...)
	i := slices.IndexFunc(all, func(a Applet) bool { return a.Name == name })
	if i < 0 {
		return Applet{}, args, false
	}
	return all[i], args, true
}

// baseName is the name that the program was called by.
func baseName(argv []string) string {
	if len(argv) == 0 || argv[0] == "" {
		return "zinit"
	}
	return filepath.Base(argv[0])
}

// byWord is the applet that a word after zinit selects, empty when it is a word
// for the command line.
func byWord(word string) string {
	switch {
	case word == "server" || word == "pid1":
		return "zinit-" + word
	case word == "init" || strings.HasPrefix(word, "zinit-"):
		return word
	}
	return ""
}

// hasCommand reports whether the words after zinit name a command of the command
// line, and are not just the flags of a server.
func hasCommand(words []string) bool {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case w == "--":
			return false // what a container is for
		case w == "-h", w == "--help", w == "-V", w == "--version", w == "--install":
			return true
		case w == "-s", w == "--socket", w == "--config-dir", w == "--log-level", w == "--stop-timeout":
			i++ // its value
		case !strings.HasPrefix(w, "-"):
			return true
		}
	}
	return false
}

// overview lists the applets for people.
func overview(all []Applet) string {
	var b strings.Builder
	for _, a := range all {
		if !a.Hidden {
			fmt.Fprintf(&b, "  %-15s %s\n", a.Name, a.Summary)
		}
	}
	return b.String()
}

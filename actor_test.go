package main_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An actor is a process that does what its arguments say, one word after the other,
// each with its values behind it.
type actor struct {
	words []string
	last  int // the process that was started last
}

// roles are the words that an actor knows.
var roles = map[string]func(*actor) error{
	// tell TEXT says it to the supervisor; %p is the process that was started last.
	"tell": func(a *actor) error {
		return tell(strings.ReplaceAll(a.next(), "%p", strconv.Itoa(a.last)))
	},
	// feed PATH gives signs of life until there is a file.
	"feed": func(a *actor) error {
		for path := a.next(); ; {
			if err := tell("WATCHDOG=1"); err != nil {
				return err
			}
			if exists(path) {
				return nil
			}
			<-time.After(20 * time.Millisecond)
		}
	},
	// await PATH waits until there is a file.
	"await": func(a *actor) error {
		for path := a.next(); !exists(path); {
			<-time.After(5 * time.Millisecond)
		}
		return nil
	},
	// line FD writes a line feed to a descriptor, and closes it.
	"line": func(a *actor) error {
		f := os.NewFile(uintptr(a.number()), "line")
		defer f.Close()
		_, err := f.WriteString("\n")
		return err
	},
	// note PATH adds its pid to a file.
	"note": func(a *actor) error {
		appendLine(a.next(), fmt.Sprintln(os.Getpid()))
		return nil
	},
	// write PATH makes a file with the pid of the process that was started last.
	"write": func(a *actor) error {
		return os.WriteFile(a.next(), []byte(strconv.Itoa(a.last)), 0o644)
	},
	// apart N has the next N words done by another process in a session of its own.
	"apart": func(a *actor) error {
		n := a.number()
		words := a.words[:n]
		a.words = a.words[n:]
		cmd := exec.Command("/proc/self/exe", words...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return err
		}
		a.last = cmd.Process.Pid
		return nil
	},
	// join waits for the end of the process that was started last.
	"join": func(a *actor) error {
		_, err := syscall.Wait4(a.last, nil, 0, nil)
		return err
	},
	// serve waits for a TERM.
	"serve": func(*actor) error {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		return nil
	},
	// be PROGRAM ARGUMENTS becomes another program.
	"be": func(a *actor) error {
		path, err := exec.LookPath(a.words[0])
		if err != nil {
			return err
		}
		return syscall.Exec(path, a.words, os.Environ())
	},
	// exit CODE ends.
	"exit": func(a *actor) error {
		os.Exit(a.number())
		return nil
	},
}

func (a *actor) next() string {
	if len(a.words) == 0 {
		return ""
	}
	w := a.words[0]
	a.words = a.words[1:]
	return w
}

func (a *actor) number() int {
	n, err := strconv.Atoi(a.next())
	if err != nil {
		return 0
	}
	return n
}

// act plays a part.
func act() int {
	for a := (&actor{words: os.Args[1:]}); len(a.words) > 0; {
		word := a.next()
		do := roles[word]
		if do == nil {
			fmt.Fprintf(os.Stderr, "nobody can %q\n", word)
			return 98
		}
		if err := do(a); err != nil {
			fmt.Fprintf(os.Stderr, "cannot %s: %v\n", word, err)
			return 99
		}
	}
	return 0
}

// tell says something to the supervisor.
func tell(text string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// acts is the value of exec for a service whose process is an actor.
func acts(t *testing.T, words ...string) string {
	t.Helper()
	return childExec(t, "act") + " " + strings.Join(words, " ")
}

// in.path names a file in the directory of the instance.
func (in *instance) path(name string) string { return filepath.Join(in.dir, name) }

// cue makes the file that an actor waits for.
func (in *instance) cue(name string) {
	in.t.Helper()
	if err := os.WriteFile(in.path(name), nil, 0o666); err != nil {
		in.t.Fatal(err)
	}
}

// text waits until a file has a line, and returns all of it.
func (in *instance) text(name string) string {
	in.t.Helper()
	var text []byte
	in.until("something in "+name, func() (string, bool) {
		var err error
		text, err = os.ReadFile(in.path(name))
		return fmt.Sprint(err), err == nil && strings.HasSuffix(string(text), "\n")
	})
	return string(text)
}

// says waits until why has a text.
func (in *instance) says(service, text string) {
	in.t.Helper()
	in.until(fmt.Sprintf("%q in why %s", text, service), func() (string, bool) {
		out, _ := in.zinit("why", service)
		return out, strings.Contains(out, text)
	})
}

// absent fails the test when there is a file.
func (in *instance) absent(name string) {
	in.t.Helper()
	if _, err := os.Stat(in.path(name)); !errors.Is(err, os.ErrNotExist) {
		in.t.Errorf("there is %s: %v", name, err)
	}
}

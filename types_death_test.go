package main_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestServersDieInTheMiddle of what services of every type are about: it goes on as
// if nothing had happened. What they do next they do either under the next server or
// while there is none.
func TestServersDieInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		name := "under the next server"
		if alone {
			name = "while there is none"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dieInTheMiddle(t, alone)
		})
	}
}

// middles are services that wait in the middle of something for the file "go" and
// write into "NAME.done" what they did then.
var middles = []struct {
	name         string
	words, rest  []string // with DIR/ for the directory
	before, then string   // states
}{
	{"ready", []string{"await", "DIR/go", "tell", "READY=1", "note", "DIR/ready.done", "serve"},
		[]string{`type = "notify"`}, "starting", "running"},
	{"line", []string{"await", "DIR/go", "line", "3", "note", "DIR/line.done", "serve"},
		[]string{`notify_fd = 3`}, "starting", "running"},
	{"heir", []string{"tell", "READY=1", "await", "DIR/go", "apart", "1", "serve", "tell", "MAINPID=%p", "note", "DIR/heir.done", "await", "DIR/end", "exit", "0"},
		[]string{`type = "notify"`}, "running", "running"},
	{"daemon", []string{"await", "DIR/go", "apart", "1", "serve", "note", "DIR/daemon.done", "exit", "0"},
		[]string{`type = "forking"`}, "starting", "running"},
	{"prepared", []string{"serve"},
		[]string{`exec_start_pre = "ACT await DIR/go note DIR/prepared.done"`}, "starting", "running"},
	{"announced", []string{"serve"},
		[]string{`exec_start_post = "ACT await DIR/go note DIR/announced.done"`}, "starting", "running"},
	{"reloaded", []string{"serve"},
		[]string{`exec_reload = "ACT await DIR/go note DIR/reloaded.done"`}, "running", "running"},
	{"stopped", []string{"serve"},
		[]string{`exec_stop = "ACT await DIR/go note DIR/stopped.done"`}, "stopping", "exited"},
	{"buried", []string{"exit", "0"},
		[]string{`exec_stop_post = "ACT await DIR/go note DIR/buried.done"`, noRestart}, "stopping", "exited"},
	{"watched", []string{"tell", "READY=1", "feed", "DIR/go", "note", "DIR/watched.done", "exit", "0"},
		[]string{`type = "notify"`, `watchdog = "20s"`, noRestart}, "running", "exited"},
}

func dieInTheMiddle(t *testing.T, alone bool) {
	in := newInstance(t, nil)
	fill := strings.NewReplacer("DIR/", in.dir+"/", "ACT", childExec(t, "act"))
	for _, m := range middles {
		in.write(m.name, file(m.name, acts(t, strings.Split(fill.Replace(strings.Join(m.words, " ")), " ")...),
			fill.Replace(strings.Join(m.rest, "\n"))))
	}
	place := in.ofItsOwn()
	good, err := os.ReadFile(place)
	if err != nil {
		t.Fatal(err)
	}
	in.launch()
	in.waitState("reloaded stopped", "running")
	if err := in.dial().SignalReload(shortly(t), "reloaded"); err != nil {
		t.Fatal(err)
	}
	in.must("stop", "stopped")
	runs := map[string]int{}
	for _, m := range middles {
		in.waitState(m.name, m.before)
		runs[m.name] = in.status(m.name).State.PID
	}
	done := func() {
		t.Helper()
		in.cue("go")
		for _, m := range middles {
			in.text(m.name + ".done")
		}
	}
	if alone {
		server := in.serverPID()
		// A program that is there, but is no server, until it is told.
		replace(t, place, []byte("#!/bin/sh\nuntil test -e "+in.path("leave")+"; do sleep 0.02; done\nexit 3\n"))
		if err := syscall.Kill(server, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		in.gone(server)
		done()
		replace(t, place, good)
		in.cue("leave")
		in.until("another server", func() (string, bool) {
			pid, err := ping(shortly(t), in.socket)
			return fmt.Sprint(pid, err), err == nil && pid != server
		})
	} else {
		in.replaceServer()
		done()
	}
	for _, m := range middles {
		in.waitState(m.name, m.then)
		s := in.status(m.name)
		if s.Run != 1 || s.Restarts != 0 {
			t.Errorf("%s is %+v", m.name, s)
		}
		if n := strings.Count(in.text(m.name+".done"), "\n"); n != 1 {
			t.Errorf("%s did it %d times", m.name, n)
		}
		if was := runs[m.name]; was != 0 && m.then == "running" && m.name != "heir" && m.name != "daemon" && s.State.PID != was {
			t.Errorf("%s was %d and is %d", m.name, was, s.State.PID)
		}
	}
	in.until("another main process of heir", func() (string, bool) {
		pid := in.pid("heir")
		return fmt.Sprint(pid), pid != runs["heir"]
	})
	in.cue("end")
	in.gone(runs["heir"])
	for _, name := range []string{"heir", "daemon"} {
		if p, ok := processOf(in.pid(name)); !ok || p.parent != in.keeperPID() {
			t.Errorf("%s is %v, which is no child of the keeper", name, p)
		}
	}
}

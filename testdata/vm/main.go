// Command vm is what runs in the virtual machine of the tests: the services of it, and
// the one that looks at everything else. It tells what it found in lines on the
// console: "ok THING", "FAIL THING: WHY", "MEASURED THING: HOW MUCH".
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	name := "shell"
	if filepath.Base(os.Args[0]) != "sh" && len(os.Args) > 1 {
		name = os.Args[1]
	}
	parts := map[string]func(){
		"serve":    serve,
		"nothing":  func() {},
		"first":    first,
		"login":    login,
		"stubborn": stubborn,
		"hog":      hog,
		"crowd":    crowd,
		"spin": func() {
			for {
			}
		},
		"shell":  shell,
		"check":  func() { checkAll(services) },
		"moved":  func() { checkAll(moved) },
		"single": func() { checkAll(single) },
		"halts":  func() { checkAll(halts) },
		"other":  func() { checkAll(other) },
		"mute":   func() { checkAll(mute) },
		"forks":  forks,
		"disk":   disk,
	}
	if part := parts[name]; part != nil {
		part()
		return
	}
	tell("FAIL start: there is no part %q", name)
}

// tell writes a line to the console, whatever standard output is; where there is none,
// to the line that would be it.
func tell(format string, args ...any) {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|syscall.O_NOCTTY, 0)
	if err != nil {
		f, err = os.OpenFile("/dev/ttyS0", os.O_WRONLY|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	fmt.Fprintf(f, format+"\n", args...)
}

// serve ends when it is asked to.
func serve() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
}

// login is a service in which somebody asks for a repair, as soon as a file says so. It
// takes whom it has started with it, as a login does.
func login() {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	again := time.NewTicker(300 * time.Millisecond)
	defer again.Stop()
	group := 0
	for {
		select {
		case <-again.C:
			if os.Remove("/run/repair") == nil {
				p, err := os.StartProcess("/bin/telinit", []string{"telinit", "1"}, &os.ProcAttr{
					Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setpgid: true}})
				if err != nil {
					tell("FAIL login: %v", err)
					return
				}
				group = p.Pid
			}
		case <-term:
			if group != 0 {
				_ = syscall.Kill(-group, syscall.SIGHUP) // it may have ended
			}
			return
		}
	}
}

// first is the first service of all: it tells how long after the kernel gave the
// machine to process 1 it began.
func first() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		tell("FAIL first: %v", err)
		return
	}
	began := float64(now.Nano()) / 1e9
	if at, ok := printed("as init process"); ok {
		tell("MEASURED first service: %.3f s after the kernel executed process 1, %.3f s after it began itself", began-at, began)
	} else {
		tell("FAIL first: the kernel did not say when it executed process 1")
	}
	serve()
}

// stubborn is ended by KILL alone.
func stubborn() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for range signals {
	}
}

// shell is /bin/sh: it has a terminal and ends with it. As shells do there it ignores
// TERM.
func shell() {
	term := make(chan os.Signal, 1)
	signal.Ignore(syscall.SIGTERM)
	signal.Notify(term, syscall.SIGHUP)
	if _, err := unix.IoctlGetTermios(0, unix.TCGETS); err != nil {
		tell("FAIL shell: its standard input is no terminal: %v", err)
	}
	sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	group, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	if err != nil || int(sid) != os.Getpid() || group != os.Getpid() {
		tell("FAIL shell: session %d, group %d of its terminal (%v), pid %d", sid, group, err, os.Getpid())
	}
	tell("ok shell on the console")
	if err := os.WriteFile("/run/shell", nil, 0o600); err != nil {
		tell("FAIL shell: %v", err)
	}
	<-term
}

// hog takes more memory than it may have, and with a path as soon as that is there.
func hog() {
	if len(os.Args) > 2 {
		for _, err := os.Stat(os.Args[2]); err != nil; _, err = os.Stat(os.Args[2]) {
			<-time.After(300 * time.Millisecond)
		}
	}
	for i := 0; ; i++ {
		text := make([]byte, 1<<20)
		for at := range text {
			text[at] = byte(i)
		}
		keep = append(keep, text)
	}
}

var keep [][]byte

// crowd forks until it may not, tells how far it came in its exit code, and stays as
// long as they do.
func crowd() {
	for n := range 200 {
		if pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0); errno != 0 {
			fmt.Printf("refused after %d: %v\n", n, errno)
			for { // Go's runtime would want a thread
				syscall.RawSyscall(syscall.SYS_PAUSE, 0, 0, 0)
			}
		} else if pid == 0 {
			for {
				syscall.RawSyscall(syscall.SYS_PAUSE, 0, 0, 0)
			}
		}
	}
	fmt.Println("not refused")
	serve()
}

// forks leaves three hundred processes behind, which end together a moment later.
func forks() {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		return
	}
	var byte1 [8]byte
	for range 300 {
		pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
		if errno != 0 {
			fmt.Println(errno)
			os.Stdout.Sync()
			return
		}
		if pid == 0 {
			syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(ends[1]), 0, 0)
			readByte(ends[0], &byte1)
			for {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 3, 0, 0)
			}
		}
	}
}

package main_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// leave ends at once with code 3 and leaves a process behind that holds its
// output.
func leave() int {
	self, err := os.Executable()
	if err != nil {
		return 99
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVar+"=hold")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() != nil {
		return 99
	}
	return 3
}

// hold ends when nobody can read its output any more.
func hold() int {
	fmt.Println("held by", os.Getpid())
	for {
		fds := []unix.PollFd{{Fd: 1}, {Fd: 2}}
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			return 1
		}
		if fds[0].Revents&unix.POLLERR != 0 {
			return 0
		}
	}
}

// Fault 21: somebody else holds the output of a service that has ended.
func TestFault21AGrandchildThatHoldsTheOutputDelaysNothing(t *testing.T) {
	t.Parallel()
	// Otherwise what it leaves behind is ended with it, wherever it went.
	in := startServer(t, map[string]string{"a": file("a", childExec(t, "leave"), noRestart+"\nkill_mode = \"process\"")})
	in.waitState("a", "failed")
	if s := in.status("a"); !strings.Contains(s.Reason, "exit code 3") {
		t.Errorf("the reason is %q", s.Reason)
	}
	var pid int
	in.until("its last words", func() (string, bool) {
		log := in.must("logs", "a")
		_, rest, _ := strings.Cut(log, "held by ")
		word, _, _ := strings.Cut(rest, "\n")
		var err error
		pid, err = strconv.Atoi(word)
		return log, err == nil
	})
	p, ok := processOf(pid)
	if !ok {
		t.Fatal("the service was seen to end only when its output was closed")
	}
	// The start of the next run waits for nobody either.
	in.zinit("restart", "a")
	in.until("the end of the second run", func() (string, bool) {
		s := in.status("a")
		return fmt.Sprintf("run %d is %s", s.Run, s.State.State), s.Run == 2 && s.State.State == sock.Failed
	})
	if left := alive([]process{p}); len(left) == 0 {
		t.Log("the machine is slow: the pipe was closed before the second run had ended")
	}
	in.gone(p.pid) // it ends by itself when the pipe is closed
}

// Fault 22: a last line without a newline.
func TestFault22ALastLineWithoutNewlineIsCaptured(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	var names []string
	for i := range 20 {
		name := "s" + strconv.Itoa(i)
		names = append(names, name)
		files[name] = file(name, fmt.Sprintf("printf 'one\\nlast words of %d'", i), "oneshot = true")
	}
	in := startServer(t, files)
	in.waitState(strings.Join(names, " "), "exited")
	for i, name := range names {
		log := in.must("logs", name)
		if want := fmt.Sprintf("[stdout] last words of %d\n", i); !strings.HasSuffix(log, want) {
			t.Errorf("the log of %s is %q", name, log)
		}
	}
}

// noise writes what no line of a log should be.
func noise() int {
	os.Stdout.Write(bytes.Repeat([]byte("x"), 16<<20))
	os.Stdout.WriteString("\nnul \x00 here\nbad \xff\xfe utf\nansi \x1b[2J\x1b[31m red\nserving\n")
	os.Stdout.Close()
	os.Stderr.WriteString("still here\n")
	select {}
}

// Fault 23: lines that are too long or no text.
func TestFault23WhatIsNoLineIsCutMarkedAndKept(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"noise": file("noise", childExec(t, "noise"), "[logging]", "buffer_lines = 1000000"),
		"other": file("other", quiet),
	})
	in.waitState("noise other", "running")
	check := in.untouched("noise", "other")
	var log string
	in.until("the last line", func() (string, bool) {
		log = in.must("logs", "noise", "-n", "1000")
		return log[max(0, len(log)-200):], strings.Contains(log, "[stderr] still here")
	})
	for _, want := range []string{"[stdout] nul \x00 here\n", "[stdout] bad \ufffd\ufffd utf\n", "[stdout] ansi \x1b[2J\x1b[31m red\n", "[stdout] serving\n", "xxx [cut]\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("there is no %q", want)
		}
	}
	for line := range strings.Lines(log) {
		if len(line) > 64<<10+100 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	// The store has the bytes as they came.
	stored, err := filepath.Glob(filepath.Join(in.dir, "*", "logs", "noise.log"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("the store is %v, %v", stored, err)
	}
	text, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("\nnul \x00 here\nbad \xff\xfe utf\nansi \x1b[2J\x1b[31m red\n")) {
		t.Error("the store has other bytes than were written")
	}
	shown := in.onTerminal("logs", "noise", "-n", "4")
	if strings.Contains(shown, "\x1b[2J") || strings.Contains(shown, "\x00") || !strings.Contains(shown, `\x1b[2J`) {
		t.Errorf("a terminal gets %q", shown)
	}
	check()
}

// onTerminal is zinit with a terminal for its output.
func (in *instance) onTerminal(args ...string) string {
	in.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		in.t.Skipf("needs a terminal: %v", err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		in.t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		in.t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		in.t.Skipf("needs a terminal: %v", err)
	}
	cmd := exec.Command(filepath.Join(binDir(in.t), "zinit"), append([]string{"--socket", in.socket}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = in.env, slave, slave
	err = cmd.Run() // what it writes is little enough to wait in the terminal
	slave.Close()
	if err != nil {
		in.t.Fatal(err)
	}
	shown, err := io.ReadAll(master)
	if len(shown) == 0 { // when all is read the error is EIO
		in.t.Fatal(err)
	}
	return string(shown)
}

// flood writes lines as fast as it can, and how many MiB so far into the file
// that is its argument.
func flood() int {
	block := bytes.Repeat([]byte(strings.Repeat("y", 99)+"\n"), 1<<20/100)
	progress, err := os.Create(os.Args[1])
	if err != nil {
		return 99
	}
	for n := 1; ; n++ {
		if _, err := os.Stdout.Write(block); err != nil {
			return 1
		}
		if _, err := progress.WriteAt(fmt.Appendf(nil, "%d\n", n), 0); err != nil {
			return 99
		}
	}
}

// Fault 24: a writer that is faster than anything can be read.
func TestFault24AFastWriterHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"other": file("other", quiet, stopped),
	})
	progress := filepath.Join(in.dir, "progress")
	in.write("flood", file("flood", childExec(t, "flood")+" "+progress))
	in.launch()
	in.waitState("flood", "running")
	server, c := in.serverPID(), in.dial()
	written := func(mib int) {
		t.Helper()
		in.until(fmt.Sprintf("%d MiB", mib), func() (string, bool) {
			text, _ := os.ReadFile(progress) // not there yet
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return string(text), n >= mib
		})
	}
	written(64)
	keeperBefore, serverBefore := resident(t, in.keeperPID()), resident(t, server)
	slowest := time.Duration(0)
	for i := range 20 {
		began := time.Now()
		if err := c.Start(shortly(t), "other", sock.StartOptions{}); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Wait(shortly(t), []string{"other"}, "running", sock.WaitOptions{Timeout: patience}); err != nil || !r.Reached {
			t.Fatal(r, err)
		}
		if lines, err := c.Logs(shortly(t), "flood", 10); err != nil || len(lines) == 0 {
			t.Errorf("attempt %d: %d lines, %v", i, len(lines), err)
		}
		if err := c.Stop(shortly(t), "other"); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Wait(shortly(t), []string{"other"}, "down", sock.WaitOptions{Timeout: patience}); err != nil || !r.Reached {
			t.Fatal(r, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	written(320)
	keeperGrew, serverGrew := resident(t, in.keeperPID())-keeperBefore, resident(t, server)-serverBefore
	t.Logf("the keeper grew by %d kB, the server by %d kB; the slowest round took %v", keeperGrew>>10, serverGrew>>10, slowest)
	if keeperGrew > 16<<20 || serverGrew > 32<<20 {
		t.Errorf("the keeper grew by %d kB, the server by %d kB", keeperGrew>>10, serverGrew>>10)
	}
	if slowest > 20*time.Second {
		t.Errorf("a start and a stop beside it took %v", slowest)
	}
}

package reap

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// parts are the children.
var parts = map[string]func(args []string){
	// leave starts a process in its own group and ends before it, with code 3.
	"leave": func([]string) {
		forkTiny("p", false)
		os.Exit(3)
	},
	// flee leaves a process behind that is in a session of its own.
	"flee": func([]string) {
		forkTiny("p", true)
		os.Exit(4)
	},
	// wander leaves a process behind that leaves the group and then another orphan
	// that ends.
	"wander": func([]string) {
		_, err := syscall.ForkExec(self(), []string{self(), "-play", "wanderer"}, &syscall.ProcAttr{Env: os.Environ()})
		if err != nil {
			panic(err)
		}
	},
	"wanderer": func([]string) {
		parent := unix.Getpgrp()
		_ = eventually("the main process is reaped", func() bool { return gone(parent) })
		if _, err := unix.Setsid(); err != nil {
			panic(err)
		}
		forkTiny("\x07", false) // an orphan of another group
	},
	// crowd leaves many dead or dying orphans behind.
	"crowd": func(args []string) {
		n, _ := strconv.Atoi(args[0])
		for range n {
			forkTiny("\x05", false)
		}
	},
	// daemonize leaves the tiny program behind, in a session of its own, and tells who it
	// is.
	"daemonize": func(args []string) { fmt.Println(forkTiny(args[0], true)) },
	// bomb makes another of its kind, in another session, and ends.
	"bomb": func([]string) {
		_, err := syscall.ForkExec(self(), []string{self(), "-play", "bomb"}, &syscall.ProcAttr{
			Env: os.Environ(), Sys: &syscall.SysProcAttr{Setsid: true}})
		if err != nil {
			panic(err)
		}
	},
	// parent makes a process of its own group, tells who it is and waits for it.
	"parent": func([]string) {
		pid := forkTiny("p", false)
		fmt.Println(pid)
		os.Stdout.Close()
		var status syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
				return
			}
		}
	},
	// count ends with the number of strings of its environment, or 250.
	"count": func([]string) { os.Exit(min(len(os.Environ()), 250)) },
	// files ends with the number of its descriptors above 2 that were not made by
	// the runtime, by asking which are not close-on-exec.
	"files": func([]string) {
		n := 0
		for fd := 3; fd < 1024; fd++ {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err == nil && flags&unix.FD_CLOEXEC == 0 {
				n++
			}
		}
		os.Exit(n)
	},
	// say writes into its outputs.
	"say": func(args []string) {
		fmt.Println(args[0])
		fmt.Fprintln(os.Stderr, args[0])
	},
}

func forkTiny(arg string, session bool) int {
	path := os.Getenv("ZINIT_TEST_TINY")
	pid, err := syscall.ForkExec(path, tinyArgs(arg), &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Setsid: session}})
	if err != nil {
		panic(err)
	}
	return pid
}

// tinyArgs are the arguments that make the tiny program wait for ever ("p") or
// end with the code that is the value of the byte.
func tinyArgs(arg string) []string { return []string{"tiny", arg} }

// tinyCode is the program for amd64: exit(argv[1][0]), or pause when it is 'p'.
var tinyCode = []byte{
	0x48, 0x8b, 0x7c, 0x24, 0x10, // mov rdi, [rsp+16]
	0x0f, 0xb6, 0x3f, // movzx edi, byte [rdi]
	0x83, 0xff, 'p', // cmp edi, 'p'
	0x74, 0x07, // je pause
	0xb8, 0xe7, 0, 0, 0, // mov eax, exit_group
	0x0f, 0x05, // syscall
	0xb8, 0x22, 0, 0, 0, // pause: mov eax, pause
	0x0f, 0x05, // syscall
	0xeb, 0xf7, // jmp pause
}

// tiny writes an executable that does next to nothing, so that what is measured
// and tested is spawning.
func tiny(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("ZINIT_TEST_TINY"); path != "" {
		return path
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the tiny child is written for amd64")
	}
	const base, start = 0x400000, 64 + 56
	elf := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	u16 := func(v uint16) { elf = append(elf, byte(v), byte(v>>8)) }
	u32 := func(v uint32) { u16(uint16(v)); u16(uint16(v >> 16)) }
	u64 := func(v uint64) { u32(uint32(v)); u32(uint32(v >> 32)) }
	u16(2)            // executable
	u16(62)           // amd64
	u32(1)            // version
	u64(base + start) // entry
	u64(64)           // program headers
	u64(0)            // section headers
	u32(0)            // flags
	u16(64)
	u16(56)
	u16(1) // one program header
	u16(0)
	u16(0)
	u16(0)
	size := uint64(start + len(tinyCode))
	u32(1) // load
	u32(5) // read, execute
	u64(0)
	u64(base)
	u64(base)
	u64(size)
	u64(size)
	u64(0x1000)
	elf = append(elf, tinyCode...)
	path := filepath.Join(t.TempDir(), "tiny")
	if err := os.WriteFile(path, elf, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// spec is a process of the test binary, or of the tiny program when the part is a
// single byte.
func spec(key string, run uint64, part string, args ...string) Spec {
	s := Spec{Key: key, Run: run, Group: true, Env: os.Environ()}
	if len(part) == 1 {
		s.Path, s.Argv = os.Getenv("ZINIT_TEST_TINY"), tinyArgs(part)
		return s
	}
	s.Path, s.Argv = self(), append([]string{self(), "-play", part}, args...)
	return s
}

// eventually waits for a fact that nothing announces.
func eventually(what string, fact func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !fact() {
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("does not happen: %s", what)
		}
	}
	return nil
}

// gone reports whether no process has the pid, not even a dead one.
func gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

// sweep ends the children of this process that nobody tracks.
func sweep() {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		var state byte
		var parent int
		_, err = fmt.Sscanf(string(text[bytes.LastIndexByte(text, ')')+1:]), " %c %d", &state, &parent)
		if err == nil && parent == os.Getpid() {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			unix.Kill(pid, unix.SIGKILL)
		}
	}
}

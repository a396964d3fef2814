package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A process is one life of a pid: the number alone may belong to another soon.
type process struct {
	pid, parent int
	start       string // in ticks since the boot, from /proc
	state       string // one letter; Z has ended and is not reaped
	name        string
}

func (p process) String() string { return fmt.Sprintf("%s (pid %d, state %s)", p.name, p.pid, p.state) }

// processOf reads a process from /proc; false when there is none.
func processOf(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	// The name is in parentheses and may have any byte in it.
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return process{}, false
	}
	rest := strings.Fields(string(text[end+1:]))
	if len(rest) < 20 {
		return process{}, false
	}
	parent, err := strconv.Atoi(rest[1])
	if err != nil {
		return process{}, false
	}
	return process{pid: pid, parent: parent, start: rest[19], state: rest[0], name: string(text[open+1 : end])}, true
}

// processes are all that /proc shows.
func processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	var out []process
	for _, d := range dirs {
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		if p, ok := processOf(pid); ok {
			out = append(out, p)
		}
	}
	return out
}

// childrenOf are the processes with this parent; of a keeper these are its
// server, the services and the orphans.
func childrenOf(pid int) []process {
	var out []process
	for _, p := range processes() {
		if p.parent == pid {
			out = append(out, p)
		}
	}
	return out
}

// descendants are the children of a process and theirs.
func descendants(pid int) []process {
	all := processes()
	var out []process
	within := map[int]bool{pid: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if within[p.parent] && !within[p.pid] {
				within[p.pid], grown = true, true
				out = append(out, p)
			}
		}
	}
	return out
}

// alive are those that have not ended.
func alive(seen []process) []process {
	var out []process
	for _, was := range seen {
		if p, ok := processOf(was.pid); ok && p.start == was.start && p.state != "Z" {
			out = append(out, p)
		}
	}
	return out
}

// marked are the living processes with this entry in their environment. Some
// daemons write their title over it: see within.
func marked(entry string) []process {
	var out []process
	for _, p := range processes() {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid))
		if err != nil || p.state == "Z" {
			continue
		}
		if bytes.Contains(append([]byte{0}, env...), []byte("\x00"+entry+"\x00")) {
			out = append(out, p)
		}
	}
	return out
}

// within are the living processes whose working directory is this one or below:
// all that descends from a server that was started there, unless it went away.
func within(dir string) []process {
	var out []process
	for _, p := range processes() {
		cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", p.pid))
		if err == nil && (cwd == dir || strings.HasPrefix(cwd, dir+"/") || strings.HasPrefix(cwd, dir+" (")) {
			out = append(out, p)
		}
	}
	return out
}

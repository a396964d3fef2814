package proc

import (
	"bytes"
	"errors"
	"math"
)

// The fields of /proc/PID/stat that are of use, numbered from 1 as in proc(5).
const (
	statPpid    = 4
	statGroup   = 5
	statSession = 6
	statFlags   = 9
	statUser    = 14 // utime
	statSystem  = 15 // stime
	statThreads = 20
	statStart   = 22
	statRSS     = 24
)

// kernelThread is PF_KTHREAD among the flags: a thread of the kernel.
const kernelThread = 0x0020_0000

var errStat = errors.New("malformed stat")

// parseStat reads a line of /proc/PID/stat:
//
//	812 (nginx: wor) S 800 812 812 0 -1 ... 24 numbers and more
//
// The name may hold anything, spaces, parentheses and line ends included: it goes
// from the first opening parenthesis to the last closing one, because after it
// only numbers follow.
func parseStat(line []byte) (Process, error) {
	open, shut := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 1 || shut < open {
		return Process{}, errStat
	}
	pid, ok := number(bytes.TrimSuffix(line[:open], []byte(" ")))
	if !ok || pid == 0 || pid > math.MaxInt32 {
		return Process{}, errStat
	}
	rest := line[shut+1:]
	state, rest := field(rest)
	if len(state) != 1 {
		return Process{}, errStat
	}
	var n [statRSS + 1]uint64
	for i := statPpid; i <= statRSS; i++ {
		var text []byte
		text, rest = field(rest)
		n[i], ok = number(text)
		if !ok || i <= statSession && n[i] > math.MaxInt32 {
			return Process{}, errStat
		}
	}
	return Process{
		Pid: int(pid), Ppid: int(n[statPpid]), Group: int(n[statGroup]), Session: int(n[statSession]),
		Name: string(line[open+1 : shut]), State: state[0],
		Kernel:  n[statFlags]&kernelThread != 0,
		Threads: int(min(n[statThreads], math.MaxInt32)),
		Start:   n[statStart], CPU: sum(ticks(n[statUser]), ticks(n[statSystem])), RSS: pages(n[statRSS]),
	}, nil
}

// field cuts the next word off; empty at the end.
func field(line []byte) (word, rest []byte) {
	line = bytes.TrimLeft(line, " ")
	if end := bytes.IndexAny(line, " \n"); end >= 0 {
		return line[:end], line[end:]
	}
	return line, nil
}

// number reads a decimal number that fits 64 bits. One below zero is none of
// those we use (a nice value, a process group of no terminal): it counts as 0.
func number(text []byte) (n uint64, ok bool) {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 {
		return 0, false
	}
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if len(digits) < len(text) {
		return 0, true
	}
	return n, true
}

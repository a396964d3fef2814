package reap

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// GiveBack returns to the kernel what a start or a burst took and the quiet time
// after it does not need: free heap, and the pages of the program itself that the
// kernel read around those that were used. What is needed again is faulted in
// again, from the page cache, in microseconds. Without /proc only the heap goes.
//
// settle, unless it is nil, is called in between: it is for what a collection of garbage
// entails, which afterwards would read a part of the program in again.
func GiveBack(settle func()) {
	// To list them takes heap, too, and where the collector is off that stayed.
	list := ownCleanMappings()
	debug.FreeOSMemory()
	if settle != nil {
		settle()
	}
	giveBackFiles(list)
}

func giveBackFiles(list []mapping) {
	for _, m := range list {
		// A hint; a kernel that refuses keeps the pages.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

func ownCleanMappings() []mapping {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer maps.Close()
	return cleanMappings(maps, exe)
}

type mapping struct{ from, to uintptr }

// cleanMappings lists the mappings of a program's file all of whose pages are as
// they are in the file. Neither what can be written to is, nor what was (constants
// that the loader relocated, code with a debugger's breakpoint): dropping such a
// page would bring back what it was before.
func cleanMappings(smaps io.Reader, exe string) []mapping {
	var list []mapping
	var current mapping
	ours := false
	lines := bufio.NewScanner(smaps) // its bytes are not kept: this is for having less memory
	for lines.Scan() {
		line := lines.Bytes()
		if m, mode, ok := parseMapping(line); ok {
			current = m
			ours = len(line) > len(exe) && string(line[len(line)-len(exe):]) == exe &&
				line[len(line)-len(exe)-1] == ' ' && mode[1] != 'w'
			continue
		}
		if pages, ok := bytes.CutPrefix(line, []byte("Anonymous:")); ok && ours && string(bytes.TrimSpace(pages)) == "0 kB" {
			list = append(list, current)
		}
	}
	return list
}

// parseMapping reads the beginning of a line "FROM-TO MODE ...", which no other line
// of smaps has.
func parseMapping(line []byte) (m mapping, mode []byte, ok bool) {
	from, rest := hexadecimal(line)
	if from == 0 || len(rest) == 0 || rest[0] != '-' {
		return m, nil, false
	}
	to, rest := hexadecimal(rest[1:])
	if to == 0 || len(rest) < 5 || rest[0] != ' ' {
		return m, nil, false
	}
	return mapping{from, to}, rest[1:5], true
}

// hexadecimal reads the number that a text begins with; 0 if there is none.
func hexadecimal(text []byte) (n uintptr, rest []byte) {
	for i, b := range text {
		switch {
		case b >= '0' && b <= '9':
			n = n<<4 + uintptr(b-'0')
		case b >= 'a' && b <= 'f':
			n = n<<4 + uintptr(b-'a') + 10
		default:
			return n, text[i:]
		}
	}
	return n, nil
}

package reap

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// GiveBack returns to the kernel what a start or a burst took and the quiet time
// after it does not need: free heap, and the pages of the program itself that the
// kernel read around those that were used. What is needed again is faulted in
// again, from the page cache, in microseconds. Without /proc only the heap goes.
func GiveBack() {
	// To list them takes heap, too, and where the collector is off that stayed.
	list := ownCleanMappings()
	debug.FreeOSMemory()
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
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		var m mapping
		var mode string
		if n, _ := fmt.Sscanf(line, "%x-%x %4s", &m.from, &m.to, &mode); n == 3 {
			current = m
			ours = strings.HasSuffix(line, " "+exe) && len(mode) == 4 && mode[1] != 'w'
			continue
		}
		if pages, ok := strings.CutPrefix(line, "Anonymous:"); ok && ours && strings.TrimSpace(pages) == "0 kB" {
			list = append(list, current)
		}
	}
	return list
}

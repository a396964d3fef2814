package reap

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auxExecName is the key under which the auxiliary vector has the address of the
// path that was executed.
const auxExecName = 31

// Self opens the binary of this process and gives its absolute path. It is to be
// called at the start, before the working directory changes or the file is
// replaced. The path is the one that was executed, so after an upgrade it leads to
// the new file; /proc, which may be missing, is asked only if that fails.
func Self() (*os.File, string, error) {
	if name := execName(); name != "" {
		path, err := filepath.Abs(name)
		if err != nil {
			path = name // no working directory: the name is absolute nearly always
		}
		if f, err := os.Open(path); err == nil {
			return f, path, nil
		}
	}
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil, "", fmt.Errorf("cannot find the binary of this process: %w", err)
	}
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return nil, "", fmt.Errorf("cannot open the binary of this process: %w", err)
	}
	return f, path, nil
}

// execName is what the kernel noted as the path of this program; empty if it did
// not.
func execName() string {
	aux, err := unix.Auxv()
	if err != nil {
		return ""
	}
	for _, pair := range aux {
		if pair[0] == auxExecName && pair[1] != 0 {
			// The string lies on the first stack, above everything of Go, and stays
			// there as long as the process lives.
			return unix.BytePtrToString(*(**byte)(unsafe.Pointer(&pair[1])))
		}
	}
	return ""
}

package config

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Files that are on their way to their names, or away from them, are called so
// meanwhile: nobody loads them.
const hiddenPrefix, hiddenSuffix = ".zinit-", ".new"

// hidden is a new path of that form.
func hidden(dir string) string {
	return filepath.Join(dir, fmt.Sprintf("%s%016x%s", hiddenPrefix, rand.Uint64(), hiddenSuffix))
}

func isHidden(name string) bool {
	digits, ok := strings.CutPrefix(name, hiddenPrefix)
	digits, also := strings.CutSuffix(digits, hiddenSuffix)
	return ok && also && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// inFlight is how long nobody else may take a hidden file for a forgotten one.
const inFlight = time.Minute

// sweep removes the hidden files that servers left in a directory when they were
// killed. What cannot be removed does no harm.
func sweep(dir string, now time.Time) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // those that could be read
	for _, name := range names {
		if !isHidden(name) {
			continue
		}
		path := filepath.Join(dir, name)
		st, err := os.Lstat(path)
		if err != nil || !st.Mode().IsRegular() || now.Sub(st.ModTime()) <= inFlight {
			continue
		}
		// A file that was moved here lately may be an old one.
		if s, ok := st.Sys().(*syscall.Stat_t); ok && now.Sub(time.Unix(0, changeTime(s))) > inFlight {
			_ = os.Remove(path)
		}
	}
}

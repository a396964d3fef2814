package server

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if isTerminal(file) || isTerminal(new(bytes.Buffer)) || isTerminal((*os.File)(nil)) {
		t.Error("a file, a buffer or nothing is a terminal")
	}
	if tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0); err == nil {
		defer tty.Close()
		if !isTerminal(tty) {
			t.Error("a terminal is none")
		}
	}
}

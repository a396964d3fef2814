package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWhatIsSentIsNotDocumentedAsNotSent compares the error codes of the
// documentation with those that the code of this package names.
func TestWhatIsSentIsNotDocumentedAsNotSent(t *testing.T) {
	doc, err := os.ReadFile("../../docs/rpc.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(file, "_test.go") {
			code.Write(text)
		}
	}
	unsent := 0
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 || !strings.HasPrefix(cells[2], "not sent") {
			continue
		}
		unsent++
		name := "sock.Code"
		for word := range strings.SplitSeq(cells[1], "_") {
			name += strings.ToUpper(word[:1]) + word[1:]
		}
		if strings.Contains(code.String(), name+",") {
			t.Errorf("%s is sent, and documented as not sent", name)
		}
	}
	if unsent == 0 {
		t.Error("no code is documented as not sent: this test looks at nothing")
	}
}

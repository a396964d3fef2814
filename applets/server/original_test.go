package server

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestRepliesToTheOriginalClient sends what the client of zinit 0.3.9 sends for
// each of its commands, to a server of its own for each, and compares the replies
// with server_original.json; -update rewrites that.
func TestRepliesToTheOriginalClient(t *testing.T) {
	wire := filepath.Join("..", "..", "testdata", "wire")
	files, err := filepath.Glob(filepath.Join(wire, "original", "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("there are the transcripts %q: %v", files, err)
	}
	var got []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h := newStoredHouse(t, map[string]string{
			"db":      service("db"),
			"log":     service("log"),
			"metrics": service("metrics", resting),
			"rival":   service("rival", resting),
			"web":     player("web", "say=one,two,", "[dependencies]", `requires = ["db"]`, `after = ["log"]`, `wants = ["metrics"]`),
		})
		h.wait("db log web", "running")
		eventually(t, "what web says", func() (string, bool) {
			lines, err := h.s.logs.Tail("web", 10)
			return fmt.Sprint(len(lines), err), len(lines) == 2
		})
		// Where the recorded proxy listens somebody may be listening on this machine.
		port, path := freeAddress(t), filepath.Join(t.TempDir(), "x.sock")
		own := strings.NewReplacer("127.0.0.1:5432", port, "/run/x.sock", path)
		recorded := strings.NewReplacer(port, "127.0.0.1:5432", path, "/run/x.sock")
		got = append(got, `"`+strings.TrimSuffix(filepath.Base(file), ".json")+`"`)
		for request := range strings.Lines(string(text)) {
			// It connects anew for each.
			request = strings.TrimSuffix(request, "\n")
			reply := recorded.Replace(h.dial().ask(own.Replace(request)))
			got = append(got, request, drawn.ReplaceAllString(settled(reply), `"output":"a drawing"`))
		}
	}
	golden := filepath.Join(wire, "server_original.json")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i := range max(len(got), len(want)) {
		if is, was := at(got, i), at(want, i); is != was {
			t.Fatalf("%s:%d: after %s\n got %s\nwant %s", golden, i+1, at(got, i-1), is, was)
		}
	}
}

// freeAddress is one of TCP that nobody listens on, below the ports that connections get.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if ln, err := net.Listen("tcp", address); err == nil {
			ln.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// drawn is a drawing of processes, which are toys here.
var drawn = regexp.MustCompile(`"output":"([^"\\]|\\.)*"`)

// at is an element, or that there is none.
func at(lines []string, i int) string {
	if i < 0 || i >= len(lines) {
		return "nothing"
	}
	return lines[i]
}

// TestTheOriginalsTranscriptsAreWhole: each of them begins as the client does.
func TestTheOriginalsTranscriptsAreWhole(t *testing.T) {
	const ping = `{"jsonrpc":"2.0","method":"system.ping","params":null,"id":1}`
	files, _ := filepath.Glob(filepath.Join("..", "..", "testdata", "wire", "original", "*.json")) // the pattern is good
	slices.Sort(files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if first, _, _ := strings.Cut(string(text), "\n"); err != nil || first != ping {
			t.Errorf("%s begins with %q: %v", file, first, err)
		}
	}
}

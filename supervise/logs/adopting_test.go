package logs

import (
	"fmt"
	"os"
	"testing"
)

// While a server takes over nothing that is adopted is read, and what is said of it
// waits in order; who asks for lines gets all of them.
func TestAdoptedPipesAreReadLater(t *testing.T) {
	l, err := Open(t.TempDir(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Adopting()
	var out [2]*os.File
	for run := range 2 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		out[run] = w
		l.Adopt("web", uint64(run+1), 1, r)
		l.Ended("web", uint64(run+1))
		l.Append("web", fmt.Sprintf("end of %d", run+1)) // not in the midst of what it wrote
	}
	l.Configure("web", Options{})
	for run, text := range map[int]string{0: "first\n", 1: "second\n"} {
		if _, err := out[run].WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	asked := make(chan []Line)
	go func() {
		lines, err := l.Tail("web", 10)
		if err != nil {
			t.Error(err)
		}
		asked <- lines
	}()
	select {
	case <-asked:
		t.Fatal("who asks does not wait")
	default:
	}
	l.Adopted()
	lines := <-asked
	if got, want := render(lines), "[stdout] first|[zinit] end of 1|[stdout] second|[zinit] end of 2"; got != want {
		t.Errorf("it has %s, want %s", got, want)
	}
	// From here on everything is done at once.
	p, err := l.Pipes("web", 3)
	if err != nil {
		t.Fatal(err)
	}
	l.Start("web", 3)
	if _, err := p.Stdout.WriteString("third\n"); err != nil {
		t.Fatal(err)
	}
	p.Stdout.Close()
	p.Stderr.Close()
	l.Ended("web", 3)
	if lines, err := l.Tail("web", 1); err != nil || len(lines) != 1 || string(lines[0].Text) != "third" {
		t.Errorf("then it has %v, %v", lines, err)
	}
}

package server

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/logs"
)

func service(name string, more ...string) string {
	return "[service]\nname = \"" + name + "\"\nexec = \"/bin/" + name + "\"\n" + strings.Join(more, "\n")
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func namesOf(set *config.Set) (names []string) {
	for _, s := range set.Services {
		names = append(names, s.Name)
	}
	return names
}

func TestOutputsOfAnEarlierServerAreAdopted(t *testing.T) {
	kept := map[string]*os.File{}
	open := func(name, text string) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		kept[name] = r
	}
	odd := []string{
		"out/", "out/web", "out/web/1", "out/web/1/", "out/web/1/3", "out/web/1/0", "out/web/1/-1", "out/web/x/1", "out/web/-1/1",
		"out/web/01/1", "out/web/+1/1", "out/web/18446744073709551616/1", "out/web/1/1/1", "out//1/1", "out/../1/1", "out/./1/1",
		"out/web/health/1/1", "out/web\x00/1/1",
	}
	for _, name := range odd {
		open(name, "odd\n")
	}
	open("out/web/7/1", "said before\n")
	open("out/web/7/2", "wrong before\n")
	open("out/gone/3/1", "last words\n")
	open("listen/1/2", "")
	open("notify/web", "")

	released := make(chan string, 100)
	store, err := logs.Open("", func(name string) { released <- name })
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	inv := reap.Inventory{Kept: kept, Exits: []reap.Exited{{Key: "gone", Run: 3}, {Key: "web/health", Run: 1}, {Key: "", Run: 0}}}
	adoptOutputs(store, inv, func(name string) { released <- name })

	text := func(name string) string {
		lines, err := store.Tail(name, 10)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, l := range lines {
			words = append(words, fmt.Sprintf("[%s] %s", l.Stream, l.Text))
		}
		slices.Sort(words)
		return strings.Join(words, ", ")
	}
	if got := text("gone"); got != "[stdout] last words" {
		t.Errorf("of a service that has ended there is %q at once", got)
	}
	// All pipes are at their end, so that each name is given back in time.
	want := append(slices.Clone(odd), "out/web/7/1", "out/web/7/2", "out/gone/3/1")
	for range want {
		name := <-released
		if i := slices.Index(want, name); i >= 0 {
			want[i] = ""
		} else {
			t.Errorf("%q is released", name)
		}
	}
	if got := text("web"); got != "[stderr] wrong before, [stdout] said before" {
		t.Errorf("of a service that runs there is %q", got)
	}
	for _, name := range odd {
		if kept[name].Close() == nil {
			t.Errorf("%q was left open", name)
		}
	}
	for _, name := range []string{"listen/1/2", "notify/web"} {
		if err := kept[name].Close(); err != nil {
			t.Errorf("%q is not an output, and was closed: %v", name, err)
		}
	}
}

// The outputs come in no order, and a run may be over that somebody else holds open.
func TestOutputsOfSeveralRunsAreAdoptedInTheirOrder(t *testing.T) {
	const runs = 12
	inv := reap.Inventory{Kept: map[string]*os.File{}, Runs: map[string]uint64{"web": runs}}
	var want []string
	for run := range uint64(runs) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		text := fmt.Sprintf("last words of run %d", run+1)
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		want = append(want, text)
		inv.Kept[reap.OutputName("web", run+1, 1)] = r
	}
	store, err := logs.Open("", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	adoptOutputs(store, inv, func(string) {})
	store.Ended("web", runs)
	lines, err := store.Tail("web", 2*runs)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, string(l.Text))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the lines are %q", got)
	}
}

func FuzzOutputNames(f *testing.F) {
	f.Add("out/web/1/1")
	f.Add("out/../1/2")
	f.Fuzz(func(t *testing.T, name string) {
		o, ok := parseOutput(name)
		if ok && reap.OutputName(o.service, o.run, o.fd) != name {
			t.Errorf("%q is read as %+v", name, o)
		}
	})
}

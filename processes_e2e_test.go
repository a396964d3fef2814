package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTheProcessesOfAServiceAreSeen as /proc has them, by the server that had them
// started and by the next one.
func TestTheProcessesOfAServiceAreSeen(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"family": "[service]\nname = \"family\"\nexec = \"sh -c 'sleep 1001 & sh -c \\\"sleep 1002; true\\\" & wait'\"",
		"busy":   "[service]\nname = \"busy\"\nexec = \"sh -c 'while :; do :; done'\"",
	})
	in.waitState("family busy", "running")
	main := in.pid("family")
	in.until("all three descendants", func() (string, bool) {
		out := in.must("debug-procs", "family")
		return out, strings.Count(out, "sleep (") == 2
	})
	c := in.dial()
	look := func() {
		t.Helper()
		var want []int
		for _, p := range descendants(main) {
			want = append(want, p.pid)
		}
		slices.Sort(want)
		slices.Reverse(want)
		children, err := c.Children(t.Context(), "family")
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, child := range children {
			got = append(got, child.PID)
			if child.MemoryBytes <= 0 || child.Name != "sleep" && child.Name != "sh" {
				t.Errorf("got %+v", child)
			}
		}
		if len(want) != 3 || !slices.Equal(got, want) {
			t.Errorf("of %d descend %v, and the server says %v", main, want, got)
		}
		stats, err := c.Stats(t.Context(), "family")
		if err != nil || stats.PID != main || stats.MemoryBytes <= 0 {
			t.Errorf("got %+v, %v, want those of %d", stats, err, main)
		}
	}
	look()
	in.replaceServer()
	look()
	in.until("a share of the processor", func() (string, bool) {
		stats, err := c.Stats(t.Context(), "busy")
		return fmt.Sprintf("%+v, %v", stats, err), stats.PID == in.pid("busy") && stats.CPUPercent > 1
	})
}

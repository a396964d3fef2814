package pid1

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// firstShow is how long a shutdown is too quick to be talked about.
	firstShow = time.Second
	// showEvery is the pause between two lines of it.
	showEvery = 3 * time.Second
	// namesShown are as many as fit into a line.
	namesShown = 8
)

// A progress tells whoever looks at the console what a shutdown waits for.
type progress struct {
	next time.Time // when there is more to say; zero before a shutdown
}

// due is when the next line is; the zero time is never.
func (p progress) due(s stage) time.Time {
	if s != drain && s != sweep {
		return time.Time{}
	}
	return p.next
}

// showProgress is called after everything that happens. Whoever runs a server by hand
// sees what the server says.
func (k *keeper) showProgress() {
	now := time.Now()
	switch {
	case k.life.role == standalone || k.life.stage != drain && k.life.stage != sweep:
		return
	case k.progress.next.IsZero():
		k.progress.next = now.Add(firstShow)
		if k.life.role == container {
			return // what it writes may be the input of another program
		}
		k.console.printf("%v: everything ends within %v", k.life.goal, length(k.life.end().Sub(now)))
	case !now.Before(k.progress.next):
		k.progress.next = now.Add(showEvery)
		k.console.printf("%v: waiting for %s: %v left", k.life.goal, k.waitedFor(), length(k.life.end().Sub(now)))
	}
}

// waitedFor names the services that live, or else says that something does.
func (k *keeper) waitedFor() string {
	var names []string
	for _, c := range k.reap.Children() {
		names = append(names, c.Key)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	switch n := len(names); {
	case n == 0 && k.life.stage == drain:
		return "the server"
	case n == 0:
		return "processes that no service has"
	case n > namesShown:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:namesShown], ", "), n-namesShown)
	}
	return strings.Join(names, ", ")
}

// length is a time to be read.
func length(d time.Duration) string {
	if d > endless/2 {
		return "as long as it takes"
	}
	return max(0, d).Round(100 * time.Millisecond).String()
}

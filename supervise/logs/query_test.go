package logs

import (
	"regexp"
	"testing"
	"time"
)

func TestQueryLeavesOutLines(t *testing.T) {
	l, _ := open(t, "")
	l.Configure("web", Options{})
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "a GET\r\nb POST\nc GET\n")
	say(t, l, "web", p.Stderr, "d GET\n")
	stdout := Stdout
	now := time.Now()
	for name, c := range map[string]struct {
		q    Query
		want string
	}{
		"text":            {Query{Match: regexp.MustCompile(`GET$`)}, "[stdout] a GET|[stdout] c GET|[stderr] d GET"},
		"the last of it":  {Query{Match: regexp.MustCompile(`GET`), Lines: 2}, "[stdout] c GET|[stderr] d GET"},
		"text and stream": {Query{Match: regexp.MustCompile(`GET`), Stream: &stdout, Lines: 1}, "[stdout] c GET"},
		"until then":      {Query{Until: now.Add(-time.Hour)}, ""},
		"until now":       {Query{Until: now.Add(time.Hour), Lines: 1}, "[stderr] d GET"},
	} {
		lines, err := l.Read("web", c.q)
		if err != nil || render(lines) != c.want {
			t.Errorf("%s: %q, %v; want %q", name, render(lines), err, c.want)
		}
		f := l.Follow("web", Last, c.q)
		if lines, _, err = f.Ready(); err != nil || render(lines) != c.want {
			t.Errorf("%s: following tells %q, %v; want %q", name, render(lines), err, c.want)
		}
		if lines, _, err = f.Ready(); err != nil || len(lines) > 0 {
			t.Errorf("%s: and then %q, %v", name, render(lines), err)
		}
		f.Close()
	}
}

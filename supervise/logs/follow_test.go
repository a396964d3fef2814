package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// follow follows and closes at the end of the test.
func follow(t testing.TB, l *Logs, from int64, q Query) *Follower {
	t.Helper()
	f := l.Follow("web", from, q)
	t.Cleanup(f.Close)
	return f
}

// next is the next batch, which has to come.
func next(t testing.TB, f *Follower) ([]Line, int64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	lines, dropped, err := f.Next(ctx)
	if err != nil && ctx.Err() != nil {
		t.Fatal("no line comes")
	}
	return lines, dropped, err
}

// expect reads so many lines as there are in want, rendered; nothing may be dropped.
func expect(t testing.TB, f *Follower, want string) (last Line) {
	t.Helper()
	var all []Line
	for len(all) < strings.Count(want, "|")+1 {
		lines, dropped, err := next(t, f)
		if dropped != 0 || err != nil {
			t.Fatalf("behind %q: %d dropped, %v", render(all), dropped, err)
		}
		all = append(all, lines...)
	}
	if got := render(all); got != want {
		t.Fatalf("it has told %q, want %q", got, want)
	}
	return all[len(all)-1]
}

// silent checks that there is nothing to tell at the moment.
func silent(t testing.TB, f *Follower) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f.hub.refresh(nil) // so that it sees what there is
	v, _, _ := f.hub.look()
	for again := true; again; {
		var lines []Line
		if lines, again = f.read(v); len(lines) > 0 {
			t.Fatalf("it tells %q", render(lines))
		}
		v, _, _ = f.hub.look()
	}
	cancel()
	if lines, dropped, err := f.Next(ctx); len(lines) > 0 || dropped != 0 || err != context.Canceled {
		t.Fatalf("it tells %q, %d dropped, %v", render(lines), dropped, err)
	}
}

func TestFollowTellsCompleteLinesAsTheyCome(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		l, _ := open(t, dir)
		p := start(t, l, "web", 1)
		now := follow(t, l, Now, Query{})
		silent(t, now)
		say(t, l, "web", p.Stdout, "one\n")
		expect(t, now, "[stdout] one")
		say(t, l, "web", p.Stdout, "tw")
		silent(t, now)
		say(t, l, "web", p.Stderr, "error\n")
		expect(t, now, "[stderr] error")
		say(t, l, "web", p.Stdout, "o\r\nthr")
		expect(t, now, "[stdout] two")
		l.Append("web", "a note")
		expect(t, now, "[zinit] a note")
		silent(t, now)
		expect(t, follow(t, l, Last, Query{Lines: 2}), "[stdout] two|[zinit] a note")
		expect(t, follow(t, l, Last, Query{}), "[stdout] one|[stderr] error|[stdout] two|[zinit] a note")
		late := follow(t, l, Now, Query{})
		p.Stdout.Close()
		p.Stderr.Close()
		l.Ended("web", 1)
		expect(t, now, "[stdout] thr")
		expect(t, late, "[stdout] thr")
		silent(t, now)
	}
}

func TestFollowFilters(t *testing.T) {
	l, _ := open(t, "")
	p := start(t, l, "web", 1)
	for i := range 5 {
		say(t, l, "web", p.Stdout, fmt.Sprintf("out %d\n", i))
		say(t, l, "web", p.Stderr, fmt.Sprintf("err %d\n", i))
	}
	stderr := Stderr
	f := follow(t, l, Last, Query{Lines: 2, Stream: &stderr})
	expect(t, f, "[stderr] err 3|[stderr] err 4")
	say(t, l, "web", p.Stdout, "out 5\n")
	silent(t, f)
	say(t, l, "web", p.Stderr, "err 5\n")
	expect(t, f, "[stderr] err 5")
	future := follow(t, l, Last, Query{Since: time.Now().Add(time.Hour)})
	silent(t, future)

	for _, test := range []struct {
		q    Query
		want string
	}{
		{Query{Lines: 2}, "[stdout] out 5|[stderr] err 5"},
		{Query{Lines: 2, Stream: &stderr}, "[stderr] err 4|[stderr] err 5"},
		{Query{Since: time.Now().Add(time.Hour)}, ""},
		{Query{Lines: 1, Since: time.Now().Add(-time.Hour)}, "[stderr] err 5"},
	} {
		lines, err := l.Read("web", test.q)
		if got := render(lines); got != test.want || err != nil {
			t.Errorf("%+v: %q, %v, want %q", test.q, got, err, test.want)
		}
	}
}

func TestFollowEndsWithTheService(t *testing.T) {
	l, _ := open(t, t.TempDir())
	if _, _, err := next(t, follow(t, l, Last, Query{})); err != io.EOF {
		t.Errorf("an unknown service: %v", err)
	}
	p := start(t, l, "web", 1)
	say(t, l, "web", p.Stdout, "one\n")
	f, slow := follow(t, l, Last, Query{}), follow(t, l, Last, Query{})
	expect(t, f, "[stdout] one")
	p.Stdout.WriteString("last words")
	l.Remove("web")
	expect(t, f, "[stdout] last words")
	for range 2 {
		if lines, dropped, err := next(t, f); len(lines) > 0 || dropped != 0 || err != io.EOF {
			t.Errorf("behind the end: %q, %d, %v", render(lines), dropped, err)
		}
	}
	start(t, l, "web", 2)
	l.Append("web", "of another service")
	expect(t, slow, "[stdout] one|[stdout] last words")
	if _, _, err := next(t, slow); err != io.EOF {
		t.Errorf("the slow one: %v", err)
	}
	expect(t, follow(t, l, Last, Query{}), "[zinit] of another service")
}

func TestFollowEndsWhenLogsOrFollowerAreClosed(t *testing.T) {
	l, _ := open(t, t.TempDir())
	start(t, l, "web", 1)
	closed, waits := follow(t, l, Now, Query{}), follow(t, l, Now, Query{})
	results := make(chan error, 2)
	for _, f := range []*Follower{closed, waits} {
		go func() {
			_, _, err := f.Next(context.Background())
			results <- err
		}()
	}
	closed.Close()
	closed.Close()
	if err := <-results; err != ErrClosed {
		t.Errorf("a closed follower: %v", err)
	}
	l.Close()
	if err := <-results; err != ErrClosed {
		t.Errorf("closed logs: %v", err)
	}
	if _, _, err := next(t, follow(t, l, Now, Query{})); !errors.Is(err, ErrClosed) {
		t.Errorf("behind the end: %v", err)
	}
}

package logline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

// patience is for what takes no time.
const patience = time.Minute

func TestALogLine(t *testing.T) {
	at := time.Date(2026, 11, 20, 18, 39, 8, 987654321, time.FixedZone("elsewhere", 3600))
	const clock = "2026-11-20T17:39:08.987Z "
	for _, c := range []struct {
		name    string
		colour  bool
		level   slog.Level
		message string
		args    []any
		want    string
	}{
		{"trace", false, levelTrace, "state", nil, "trace state"},
		{"debug", false, slog.LevelDebug, "state", nil, "debug state"},
		{"info", false, slog.LevelInfo, "state", nil, "info  state"},
		{"warn", false, slog.LevelWarn, "state", nil, "warn  state"},
		{"error", false, slog.LevelError, "state", nil, "error state"},
		{"colour", true, slog.LevelError, "state", nil, "\x1b[31merror\x1b[0m state"},
		{"pairs", false, slog.LevelInfo, "state", []any{"service", "web", "run", 3, "took", 2 * time.Second}, "info  state service=web run=3 took=2s"},
		{"words are quoted", false, slog.LevelInfo, "state", []any{"why", "exit code 3", "empty", ""}, `info  state why="exit code 3" empty=""`},
		{"what looks like a pair", false, slog.LevelInfo, "state", []any{"why", `a="b"`}, `info  state why="a=\"b\""`},
		{"errors", false, slog.LevelInfo, "state", []any{"error", errors.New("no\nway")}, `info  state error="no\nway"`},
		{"a forged line", false, slog.LevelInfo, "state", []any{"why", "x\n2026 info forged"}, `info  state why="x\n2026 info forged"`},
		{"orders to a terminal", false, slog.LevelInfo, "state", []any{"why", "\x1b[2J"}, `info  state why="\x1b[2J"`},
		{"orders of eight bits", false, slog.LevelInfo, "state", []any{"why", "\u009b2J"}, `info  state why="\u009b2J"`},
		{"other control characters", false, slog.LevelInfo, "state", []any{"why", "a\x00b\x7f\r"}, `info  state why="a\x00b\x7f\r"`},
		{"what is not UTF-8", false, slog.LevelInfo, "state", []any{"why", "a\xffb"}, `info  state why="a\xffb"`},
		{"other scripts stay", false, slog.LevelInfo, "état ✓", []any{"why", "été"}, "info  état ✓ why=été"},
		{"a hostile message", false, slog.LevelInfo, "cannot read \"a\nb\x1b[2J\"", nil, `info  cannot read \"a\nb\x1b[2J\"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r := slog.NewRecord(at, c.level, c.message, 0)
			r.Add(c.args...)
			if err := New(&out, "trace", c.colour).Handler().Handle(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			if want := clock + c.want + "\n"; out.String() != want {
				t.Errorf("got  %q\nwant %q", out.String(), want)
			}
		})
	}
}

func TestALoggerWithPairsOfItsOwn(t *testing.T) {
	var out bytes.Buffer
	log := New(&out, "info", false).With("a", 1).With("b", "x y").WithGroup("g")
	log.Info("m", "c", 2)
	if got := out.String(); !strings.HasSuffix(got, " info  m a=1 b=\"x y\" c=2\n") {
		t.Errorf("got %q", got)
	}
}

func TestLogLevels(t *testing.T) {
	for n, least := range env.LogLevels() {
		var out bytes.Buffer
		log := New(&out, least, false)
		for _, level := range env.LogLevels() {
			log.Log(context.Background(), levelOf(level), level)
		}
		var got []string
		for line := range strings.Lines(out.String()) {
			got = append(got, strings.Fields(line)[2])
		}
		if want := env.LogLevels()[n:]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("from %s on: %v, want %v", least, got, want)
		}
	}
}

// A gate is a reader that reads when it is let.
type gate struct {
	at   chan bool // somebody stands before it, for the first time
	let  chan struct{}
	seen bytes.Buffer
}

func newGate() *gate { return &gate{at: make(chan bool, 1), let: make(chan struct{})} }

func (g *gate) Write(b []byte) (int, error) {
	select {
	case g.at <- true:
	default:
	}
	<-g.let
	return g.seen.Write(b)
}

func TestAReaderThatNeverReadsHoldsUpNobody(t *testing.T) {
	g := newGate()
	p := NewPatient(g)
	put := func(text string) {
		if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	put("first\n")
	<-g.at
	const lost = 7
	for n := range patientRoom + lost {
		put(fmt.Sprintf("line %d\n", n))
	}
	begun := time.Now()
	p.Flush()
	if took := time.Since(begun); took < time.Second || took > patience {
		t.Errorf("a flush in vain took %s", took)
	}
	close(g.let) // it reads after all
	p.Flush()
	lines := strings.Split(strings.TrimSuffix(g.seen.String(), "\n"), "\n")
	if want := patientRoom + 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	if got, want := lines[1], "7 lines of this log were dropped: it is not read fast enough"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	if got, want := lines[patientRoom+1], fmt.Sprintf("line %d", patientRoom-1); got != want {
		t.Errorf("the last line is %q, want %q", got, want)
	}
}

func TestALineMayBeReusedOnceItIsWritten(t *testing.T) {
	g := newGate()
	p := NewPatient(g)
	line := []byte("abc\n")
	if _, err := p.Write(line); err != nil {
		t.Fatal(err)
	}
	copy(line, "xyz")
	close(g.let)
	p.Flush()
	if g.seen.String() != "abc\n" {
		t.Errorf("got %q", g.seen.String())
	}
}

// broken is where nobody reads any more.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestABrokenReaderEndsNothing(t *testing.T) {
	p := NewPatient(broken{})
	log := New(p, "info", false)
	for range 10 {
		log.Info("nobody hears this")
	}
	p.Flush()
	if left := len(p.lines); left != 0 {
		t.Errorf("%d lines are left", left)
	}
}

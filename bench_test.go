package main_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// benchLimit bounds the whole comparison.
const benchLimit = 6 * time.Minute

// BenchmarkComparison measures the binary against what the same work costs a C
// loop, and against zinit 0.3.9 where that is installed (see findPeer), and
// prints a table; docs/bench.md says what the rows mean. It takes
// minutes and is meant to be run once (-benchtime 1x). It fails when something
// can not be measured, not when a goal is missed: a busy machine misses some.
func BenchmarkComparison(b *testing.B) {
	if socket := os.Getenv(benchEchoVar); socket != "" {
		if err := benchServeEcho(socket); err != nil {
			b.Fatal(err)
		}
		return
	}
	if dir := os.Getenv(benchBackVar); dir != "" {
		if err := benchServeBack(dir); err != nil {
			b.Fatal(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, benchLimit)
	defer cancel()
	rig, err := newBenchRig(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer rig.close()
	if rig.peer == "" {
		fmt.Fprintln(os.Stderr, "bench: zinit 0.3.9 is not installed: if it is, name the directory of its programs in ZINIT_PEER")
	}
	began := time.Now()
	var rows []benchRow
	for _, c := range benchCases() {
		if only := os.Getenv("ZINIT_BENCH"); only != "" && !strings.Contains(only, c.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s (%.0f s)\n", c.name, time.Since(began).Seconds())
		more, err := c.measure(rig)
		if err != nil {
			b.Errorf("cannot measure %s: %v", c.name, err)
		}
		rows = append(rows, more...)
	}
	printBenchTable(rows, rig.peer != "", time.Since(began))
}

// A benchCase measures some rows of the table.
type benchCase struct {
	name    string
	measure func(*benchRig) ([]benchRow, error)
}

// benchCases lists all cases in the order of the table. ZINIT_BENCH can hold the
// names of those that are wanted.
func benchCases() []benchCase {
	return []benchCase{
		{"up1000", func(r *benchRig) ([]benchRow, error) { return r.upAndDown(1000, 7, 1.7) }},
		{"up5000", func(r *benchRig) ([]benchRow, error) { return r.upAndDown(5000, 3, 1.9) }},
		{"chain", (*benchRig).chain},
		{"layers", (*benchRig).layers},
		{"restart", (*benchRig).restart},
		{"births", (*benchRig).births},
		{"takeover", (*benchRig).takeover},
		{"memory", (*benchRig).memory},
		{"wire", (*benchRig).wire},
		{"list", (*benchRig).list},
		{"logs", (*benchRig).logs},
		{"xinet", (*benchRig).xinet},
		{"idle", (*benchRig).idle},
	}
}

// benchSide is one of those that are compared.
type benchSide int

const (
	benchOurs  benchSide = iota
	benchFloor           // a C loop, or an echo: the least that the work can cost
	benchPeer            // zinit 0.3.9
	benchSides
)

// A benchRow is a line of the table. A value that is 0 was not measured, unless
// it is ours.
type benchRow struct {
	name   string
	unit   string
	values [benchSides]float64

	// against says whose value ours is divided by; benchOurs: by nobody's, the
	// goal is one for ours as it is.
	against benchSide
	goal    float64 // 0: no goal, the row explains another
	atLeast bool    // more is better
}

// verdict is the ratio and what became of the goal.
func (r benchRow) verdict() (ratio, goal, met string) {
	value, unit := r.values[benchOurs], " "+r.unit
	if r.against != benchOurs {
		value, unit = r.values[benchOurs]/r.values[r.against], "x"
		if r.values[r.against] == 0 {
			return "-", "", "not known"
		}
		ratio = fmt.Sprintf("%.2fx", value)
	}
	if r.goal == 0 {
		return ratio, "", ""
	}
	sign, ok := "<=", value <= r.goal
	if r.atLeast {
		sign, ok = ">=", value >= r.goal
	}
	met = "missed"
	if ok {
		met = "met"
	}
	return ratio, fmt.Sprintf("%s %s%s", sign, benchNumber(r.goal), unit), met
}

func benchNumber(v float64) string {
	switch {
	case v != 0 && math.Abs(v) < 10:
		return strings.TrimSuffix(fmt.Sprintf("%.2f", v), ".00")
	case math.Abs(v) < 100:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.0f", v)
}

func printBenchTable(rows []benchRow, peer bool, took time.Duration) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ncase\tunit\tours\tfloor\tzinit 0.3.9\tratio\tgoal\t")
	for _, r := range rows {
		cells := [benchSides]string{}
		for side, v := range r.values {
			switch {
			case v != 0 || benchSide(side) == benchOurs:
				cells[side] = benchNumber(v)
			case benchSide(side) == benchPeer && !peer:
				cells[side] = "not installed"
			default:
				cells[side] = "-"
			}
		}
		ratio, goal, met := r.verdict()
		switch r.against {
		case benchFloor:
			ratio += " floor"
		case benchPeer:
			ratio += " zinit"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.name, r.unit, cells[benchOurs], cells[benchFloor], cells[benchPeer], ratio, goal, met)
	}
	w.Flush()
	fmt.Printf("medians; each round runs all sides one after the other; %.0f s in all\n\n", took.Seconds())
}

// A benchSample gathers the values of each side for one row.
type benchSample [benchSides][]float64

func (s *benchSample) add(side benchSide, v float64) { s[side] = append(s[side], v) }

// medians is the middle value of each side, 0 where there is none.
func (s *benchSample) medians() (m [benchSides]float64) {
	for side, list := range s {
		m[side] = benchMedian(list)
	}
	return m
}

func benchMedian(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func benchMs(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

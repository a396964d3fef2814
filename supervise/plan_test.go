package supervise

import (
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"zinit/reap"
	"zinit/reap/reaptest"
	"zinit/supervise/config"
	"zinit/supervise/launch"
	"zinit/supervise/machine"
)

// A planner keeps the last plan.
type planner struct {
	*reaptest.Sim
	steps []reap.PlanStep
	worst time.Duration
}

func (p *planner) Plan(steps []reap.PlanStep, worst time.Duration) { p.steps, p.worst = steps, worst }

func (p *planner) Spawn(o launch.Order) { p.Sim.Spawn(o.Spec()) }

func (k *planner) Keep(string, *os.File) error { return nil }

// plan loads a configuration and returns the keeper, which has the plan.
func plan(set *config.Set, log io.Writer) *planner {
	k := &planner{Sim: reaptest.New(1, reaptest.Odds{}, time.Now())}
	c := newCore(Parts{
		Keeper: k, Logs: noLogs{}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	c.load(set, k.Inventory())
	return k
}

// TestPlan: the keeper is told how long the server itself may take, also where the
// sum is beyond what can be written down.
func TestPlan(t *testing.T) {
	const ever = time.Duration(math.MaxInt64)
	for _, tc := range []struct {
		name         string
		web, db, top time.Duration
		worst        time.Duration
		millis       uint32 // of web
	}{
		{"usual", time.Second, 2 * time.Second, 0, 3*time.Second + 2*machine.StuckAfter, 1000},
		{"beyond 32 bits", 50 * 24 * time.Hour, time.Second, 0, longestStop + time.Second + 2*machine.StuckAfter, math.MaxUint32},
		{"beyond everything", ever, ever, ever, 2 * (longestStop + machine.StuckAfter), math.MaxUint32},
	} {
		set := services(t, "db", "web requires=db", "top target requires=web")
		for i, timeout := range []time.Duration{tc.db, tc.web, tc.top} {
			set.Services[i].Lifecycle.StopTimeout = timeout
		}
		k := plan(set, io.Discard)
		if k.worst != tc.worst {
			t.Errorf("%s: at worst %s, want %s", tc.name, k.worst, tc.worst)
		}
		if len(k.steps) != 2 || k.steps[0].Key != "web" || k.steps[0].Timeout != tc.millis {
			t.Errorf("%s: the steps are %+v", tc.name, k.steps)
		}
	}
}

// TestALongPlanIsBounded: the sum over very many waves stays far from an overflow.
func TestALongPlanIsBounded(t *testing.T) {
	lines := []string{"s0"}
	for i := 1; i < 2000; i++ {
		lines = append(lines, "s"+strconv.Itoa(i)+" requires=s"+strconv.Itoa(i-1))
	}
	set := services(t, lines...)
	for _, s := range set.Services {
		s.Lifecycle.StopTimeout = math.MaxInt64
	}
	k := plan(set, io.Discard)
	if k.worst != longestPlan {
		t.Errorf("at worst %s, want %s", k.worst, longestPlan)
	}
}

// TestWhatCannotBeFailsAtOnce: it is not said to have waited for anything.
func TestWhatCannotBeFailsAtOnce(t *testing.T) {
	var log strings.Builder
	plan(services(t, "bad: exec is missing", "web requires=db"), &log)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Errorf("it says\n%s", log.String())
	}
	for _, line := range lines {
		if !strings.Contains(line, "from=inactive to=failed") {
			t.Errorf("it says %s", line)
		}
	}
}

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestStories plays the scripts in testdata/machine. A script is blocks of
// commands, a line of dashes, and what comes of them, up to an empty line; lines
// that begin with # are for the reader. The commands are in (*story).command.
func TestStories(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, file := range files {
		if filepath.Base(file) == "matrix.txt" {
			continue
		}
		played++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := &story{}
			golden(t, file, s.play(t, string(text)))
		})
	}
	if played == 0 {
		t.Error("there are no stories")
	}
}

// A story is one script under way.
type story struct {
	l   *live
	out strings.Builder
}

// play returns the script with the output that its commands have now.
func (s *story) play(t *testing.T, text string) string {
	skip := false
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case line == "":
			skip = false
			s.out.WriteString("\n")
		case skip:
		case strings.HasPrefix(line, "#"):
			s.out.WriteString(line + "\n")
		case strings.HasPrefix(line, "--"):
			t.Fatalf("line %d: no commands before the dashes", n+1)
		default:
			skip = true
			s.block(t, text, n)
		}
	}
	return s.out.String()
}

// block plays the commands from line n up to the dashes.
func (s *story) block(t *testing.T, text string, n int) {
	var results []string
	for _, line := range strings.Split(text, "\n")[n:] {
		if line == "" || strings.HasPrefix(line, "--") {
			break
		}
		s.out.WriteString(line + "\n")
		words := strings.Fields(line)
		out, err := s.command(words[0], words[1:])
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		results = append(results, out...)
	}
	s.out.WriteString("----\n" + strings.Join(results, "\n") + "\n")
}

// command carries out one line of a script and says what came of it.
func (s *story) command(word string, args []string) ([]string, error) {
	first := strings.Join(args, " ")
	switch word {
	case "service": // service KEY=VALUE...: a new one, with these rules
		rules, err := parseRules(args, plain())
		if err == nil {
			s.l = begin(rules)
		}
		return s.tell(word, nil), err
	case "rules": // rules KEY=VALUE...: a reload changes these
		changed := *s.l.Rules
		rules, err := parseRules(args, &changed)
		return s.event(word, Configured{Rules: rules}), err
	case "wait": // wait DURATION: time passes
		d, err := time.ParseDuration(first)
		return s.wait(d), err
	case "want":
		return s.event(word, Wanted{}), nil
	case "drop":
		return s.event(word, Dropped{}), nil
	case "restart":
		return s.event(word, Restarted{}), nil
	case "met":
		return s.event(word, DepsMet{}), nil
	case "held": // held NAME: it may not start before NAME is there
		return s.event(word, DepsHeld{On: first}), nil
	case "lost": // lost NAME: NAME, which it requires, went down
		return s.event(word, DepsLost{On: first}), nil
	case "missing": // missing NAME: it requires NAME, which does not exist
		return s.event(word, Broken{Why: Cause{Kind: MissingDependency, Name: first}}), nil
	case "mended":
		return s.event(word, Mended{}), nil
	case "adopt": // adopt RUN: an earlier server left it running
		run, err := strconv.ParseUint(first, 10, 64)
		return s.event(word, Adopted{Run: Run(run)}), err
	case "spawned":
		return s.event(word, Spawned{Run: s.l.Run()}), nil
	case "refused": // refused TEXT: fork or exec failed
		return s.event(word, SpawnFailed{Run: s.l.Run(), Text: first}), nil
	case "pass":
		return s.event(word, Probed{Run: s.l.Run()}), nil
	case "fail": // fail TEXT: the probe under way failed
		return s.event(word, Probed{Run: s.l.Run(), Err: first}), nil
	case "exit": // exit CODE [lingers] [run N]: the main process ended
		return s.exit(word, args)
	case "killed": // killed SIGNAL [lingers] [run N]
		return s.exit(word, args)
	case "hook-ok": // the hook under way has run
		return s.event(word, HooksDone{Run: s.l.Run(), Hook: s.l.Hook()}), nil
	case "hook-failed": // hook-failed TEXT
		return s.event(word, HooksDone{Run: s.l.Run(), Hook: s.l.Hook(), Err: first}), nil
	case "hook-late": // hook-late DURATION: it took longer than it may
		d, err := time.ParseDuration(first)
		return s.event(word, HooksDone{Run: s.l.Run(), Hook: s.l.Hook(), Err: "not done after " + first, TimedOut: d}), err
	case "reload":
		return s.event(word, ReloadAsked{}), nil
	case "found": // the main process of a forking service
		return s.event(word, MainFound{Run: s.l.Run()}), nil
	case "not-found": // not-found TEXT
		return s.event(word, MainMissing{Run: s.l.Run(), Text: first}), nil
	case "says": // says ready|alive|reloading|stopping|trigger|extend=DURATION|every=DURATION...: a notice
		ev, err := notice(args)
		ev.Run = s.l.Run()
		return s.event(word, ev), err
	case "resumed":
		return s.event(word, Resumed{Run: s.l.Run()}), nil
	case "cleared":
		return s.event(word, Cleared{Run: s.l.Run()}), nil
	case "unspawned":
		return s.event(word, Unspawned{Run: s.l.Run()}), nil
	case "group-gone":
		return s.event(word, GroupGone{Run: s.l.Run()}), nil
	}
	return nil, fmt.Errorf("no such command")
}

func notice(words []string) (ev Notified, err error) {
	for _, word := range words {
		word, value, _ := strings.Cut(word, "=")
		switch word {
		case "ready":
			ev.Ready = true
		case "alive":
			ev.Alive = true
		case "reloading":
			ev.Reloading = true
		case "stopping":
			ev.Stopping = true
		case "trigger":
			ev.Trigger = true
		case "every":
			ev.Period, err = time.ParseDuration(value)
		case "extend":
			ev.Extend, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("no such notice: %s", word)
		}
	}
	return ev, err
}

func (s *story) exit(word string, args []string) ([]string, error) {
	ev := ProcessGone{Run: s.l.Run()}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, err
	}
	if ev.Outcome.Code = n; word == "killed" {
		ev.Outcome = Outcome{Signal: syscall.Signal(n)}
	}
	rest := strings.Join(args[1:], " ")
	if rest, ev.Lingers = cutWord(rest, "lingers"); rest != "" {
		run, err := strconv.ParseUint(strings.TrimPrefix(rest, "run "), 10, 64)
		if err != nil {
			return nil, err
		}
		ev.Run = Run(run)
	}
	return s.event(word, ev), nil
}

func cutWord(text, word string) (string, bool) {
	rest, found := strings.CutPrefix(text, word)
	return strings.TrimSpace(rest), found
}

func (s *story) event(what string, ev Event) []string { return s.tell(what, s.l.give(ev)) }

// wait passes time, and tells of each moment at which something happens.
func (s *story) wait(d time.Duration) []string {
	end := s.l.now.Add(d)
	var out []string
	for {
		due := s.l.Deadline()
		if due.IsZero() || due.After(end) {
			break
		}
		actions := s.l.after(max(0, due.Sub(s.l.now)))
		out = append(out, s.tell("(time)", actions)...)
	}
	s.l.now = end
	if len(out) == 0 {
		out = s.tell("(time)", nil)
	}
	return out
}

// tell is a line for the state and one for what was ordered.
func (s *story) tell(what string, actions []Action) []string {
	if s.l == nil {
		return nil
	}
	out := []string{fmt.Sprintf("%-8s %-10s %s", moment(s.l.now), what, describe(s.l.Service))}
	if len(actions) > 0 {
		out = append(out, fmt.Sprintf("%-8s %-10s    %s", "", "", describeActions(actions)))
	}
	return out
}

// parseRules changes the rules by KEY=VALUE words.
func parseRules(words []string, r *Rules) (*Rules, error) {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if err := setRule(r, key, value); err != nil {
			return nil, fmt.Errorf("%s: %w", word, err)
		}
	}
	return r, nil
}

func setRule(r *Rules, key, value string) (err error) {
	health := func() *Health {
		own := Health{Interval: time.Second, Retries: 3}
		if r.Health != nil {
			own = *r.Health
		}
		r.Health = &own
		return r.Health
	}
	switch key {
	case "hooks": // hooks=pre,post,reload,stop,stop-post
		names := map[string]Hook{"pre": ExecStartPre, "post": ExecStartPost, "reload": ExecReload, "stop": ExecStop, "stop-post": ExecStopPost}
		for _, name := range strings.Split(value, ",") {
			h, ok := names[name]
			if r.Hooks = r.Hooks.With(h); !ok {
				return fmt.Errorf("no such hook")
			}
		}
	case "notify":
		r.Readiness = ByNotice
	case "forking":
		r.Readiness = ByFork
	case "remain":
		r.Oneshot, r.Remain = true, true
	case "watchdog":
		r.Watchdog, err = time.ParseDuration(value)
	case "restart":
		policies := map[string]Policy{"never": Never, "on-success": OnSuccess, "on-failure": OnFailure, "on-abnormal": OnAbnormal, "always": Always}
		policy, ok := policies[value]
		if r.Policy = policy; !ok {
			return fmt.Errorf("no such policy")
		}
	case "delay":
		r.Delay, err = time.ParseDuration(value)
	case "delay-max":
		r.DelayMax, err = time.ParseDuration(value)
	case "max-restarts":
		r.MaxRestarts, err = strconv.Atoi(value)
	case "stability":
		r.Stability, err = time.ParseDuration(value)
	case "start-timeout":
		r.StartTimeout, err = time.ParseDuration(value)
	case "kill-cgroup":
		r.KillScope = Cgroup
	case "stop-timeout":
		r.StopTimeout, err = time.ParseDuration(value)
	case "target":
		r.Target = true
	case "oneshot":
		r.Oneshot = true
	case "no-health":
		r.Health = nil
	case "health-interval":
		health().Interval, err = time.ParseDuration(value)
	case "health-retries":
		health().Retries, err = strconv.Atoi(value)
	case "health-start-period":
		health().StartPeriod, err = time.ParseDuration(value)
	case "health-exec":
		health().Guest = true
	case "health-once":
		health().Once = true
	case "health-report":
		health().ReportOnly = true
	default:
		return fmt.Errorf("no such rule")
	}
	return err
}

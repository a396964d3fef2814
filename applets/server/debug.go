package server

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"zinit/depgraph"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/machine"
	"zinit/supervise/proc"
)

func (s *server) debugState(context.Context, *sock.Call) (any, error) {
	tree, err := s.processes()
	note := ""
	if err != nil {
		// The rest is worth having without them.
		note = "child processes: " + err.Error()
		tree = proc.NewTree(nil)
	}
	return sock.Output{Output: drawState(s.sup.Snapshot(), tree, note, time.Now())}, nil
}

func (s *server) debugProcesses(_ context.Context, c *sock.Call) (any, error) {
	_, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	idle := sock.Output{Output: v.Name + " is not running"}
	if !mayHaveProcesses(v) {
		return idle, nil
	}
	tree, err := s.processes()
	if err != nil {
		return nil, unread("processes of "+v.Name, err)
	}
	main, ok := mainProcess(tree, v)
	var below []proc.Process
	if ok {
		below = tree.Descendants(main.Pid)
	}
	others := s.astray(v, append(slices.Clone(below), main))
	if !ok && len(others) == 0 {
		return idle, nil
	}
	return sock.Output{Output: drawProcesses(v.Name, main.Pid, below) + drawOthers(others)}, nil
}

// astray are the processes in the cgroup of a service that are not among the known:
// hooks, and those that have left the main process.
func (s *server) astray(v *supervise.View, known []proc.Process) (others []proc.Process) {
	g := s.group(v)
	if g.dir == "" {
		return nil
	}
	all, err := s.members(v, g)
	if err != nil {
		return nil // what is known is worth showing without them
	}
	for _, p := range all {
		if !slices.ContainsFunc(known, func(k proc.Process) bool { return k.Pid == p.Pid }) {
			others = append(others, p)
		}
	}
	return others
}

func drawOthers(others []proc.Process) string {
	var b strings.Builder
	for i, p := range others {
		if i == 0 {
			b.WriteString("\n  others in its cgroup:")
		}
		branch := "├─"
		if i == len(others)-1 {
			branch = "└─"
		}
		fmt.Fprintf(&b, "\n  %s %s (pid=%d, ppid=%d, %s)", branch, oneLine(p.Name), p.Pid, p.Ppid, p.StateWord())
	}
	return b.String()
}

// drawState shows all services in start order as zinit 0.3.9 does, with a note
// above them if there is one.
func drawState(snap *supervise.Snapshot, all *proc.Tree, note string, now time.Time) string {
	var b strings.Builder
	b.WriteString("=== Service Graph State ===\n\n")
	if note != "" {
		b.WriteString(note + "\n\n")
	}
	for _, v := range snap.StartOrder() {
		fmt.Fprintf(&b, "%s %s - %s\n", symbol(v.State), v.Name, debugWords(snap, v, now))
		if v.Quick > 0 {
			fmt.Fprintf(&b, "    restart_count: %d, next_delay: %dms\n", v.Quick, v.NextDelay.Milliseconds())
		}
		drawRelations(&b, snap, v)
		if main, ok := mainProcess(all, v); ok {
			drawChildren(&b, all.Children(main.Pid))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func drawRelations(b *strings.Builder, snap *supervise.Snapshot, v *supervise.View) {
	if uses := snap.Uses(v.Name); len(uses) > 0 {
		b.WriteString("    ← depends on:\n")
		for _, u := range uses {
			mark := "✗"
			if u.View.Satisfied() {
				mark = "✓"
			}
			fmt.Fprintf(b, "      %s %s %s (%s)\n", mark, u.Kind, u.View.Name, u.View.State)
		}
	}
	if names := dependents(snap, v.Name); len(names) > 0 {
		fmt.Fprintf(b, "    → required by: %s\n", strings.Join(names, ", "))
	}
}

// dependents are those that name a service, in whatever relation.
func dependents(snap *supervise.Snapshot, name string) []string {
	i, ok := snap.Graph.Index(name)
	if !ok {
		return nil
	}
	var names []string
	for _, e := range snap.Graph.In(i) {
		names = append(names, snap.Graph.Name(int(e.To)))
	}
	return slices.Compact(names) // they come by name
}

func drawChildren(b *strings.Builder, children []proc.Process) {
	if len(children) == 0 {
		return
	}
	b.WriteString("    └─ child processes:\n")
	for _, p := range children {
		fmt.Fprintf(b, "       └─ %s (pid=%d, state=%c)\n", oneLine(p.Name), p.Pid, p.State)
	}
}

// debugWords is a state with what belongs to it, in the words of zinit 0.3.9.
func debugWords(snap *supervise.Snapshot, v *supervise.View, now time.Time) string {
	switch st := v.State.(type) {
	case machine.Inactive:
		return "Inactive"
	case machine.Blocked:
		return "Blocked (" + obstacles(snap, v) + ")"
	case machine.Starting:
		return fmt.Sprintf("Starting (pid=%d)", v.Pid)
	case machine.Running:
		return fmt.Sprintf("Running (pid=%d, uptime=%s)", v.Pid, span(v, now))
	case machine.Stopping:
		return fmt.Sprintf("Stopping (pid=%d)", v.Pid)
	case machine.Exited:
		if code := exitCode(st.Outcome); code != nil {
			return fmt.Sprintf("Exited (code=Some(%d))", *code)
		}
		return "Exited (code=None)"
	case machine.Failed:
		return "Failed (" + failedWords(failure(st.Why)) + ")"
	}
	return v.State.String()
}

// obstacles is what a blocked service waits for; zinit 0.3.9 says nothing of
// conflicts.
func obstacles(snap *supervise.Snapshot, v *supervise.View) string {
	var waiting, rivals []string
	for _, o := range snap.Blockers(v.Name) {
		switch {
		case o.Kind == depgraph.Conflicts:
			rivals = append(rivals, o.Name)
		default:
			waiting = append(waiting, o.Name)
		}
	}
	if len(waiting) == 0 && len(rivals) > 0 {
		return "conflicts with: " + strings.Join(rivals, ", ")
	}
	if len(waiting) == 0 && v.Reason != "" {
		return v.Reason
	}
	return "waiting on: " + strings.Join(waiting, ", ")
}

func failedWords(why *sock.FailureReason) string {
	switch why.Type {
	case sock.ReasonExitCode:
		return fmt.Sprintf("exited with code %d", why.Code)
	case sock.ReasonSignal:
		return fmt.Sprintf("killed by %s (%d)", config.SignalName(syscall.Signal(why.Signal)), why.Signal)
	}
	return why.Text()
}

// span is for how long a process has been running: 28s, 1m30s, 26h0m; ? for a
// target.
func span(v *supervise.View, now time.Time) string {
	if v.Pid == 0 || v.Started.IsZero() {
		return "?"
	}
	secs := max(0, int64(now.Sub(v.Started)/time.Second))
	switch {
	case secs < 60:
		return fmt.Sprintf("%ds", secs)
	case secs < 3600:
		return fmt.Sprintf("%dm%ds", secs/60, secs%60)
	}
	return fmt.Sprintf("%dh%dm", secs/3600, secs%3600/60)
}

// drawProcesses lists the descendants of a main process as zinit 0.3.9 does, but
// each under its parent.
func drawProcesses(service string, pid int, descendants []proc.Process) string {
	var b strings.Builder
	if pid == 0 {
		return service + " (no main process)"
	}
	fmt.Fprintf(&b, "%s (pid=%d)", service, pid)
	for i, p := range descendants {
		branch := "├─"
		if i == len(descendants)-1 {
			branch = "└─"
		}
		fmt.Fprintf(&b, "\n  %s %s (pid=%d, ppid=%d, %s)", branch, oneLine(p.Name), p.Pid, p.Ppid, p.StateWord())
	}
	if len(descendants) == 0 {
		b.WriteString("\n  └─ (no child processes)")
	}
	return b.String()
}

// oneLine is what a process calls itself, made fit for a drawing: nothing in it
// begins a new line or moves the cursor.
func oneLine(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

package server

import (
	"fmt"
	"strings"
	"time"

	"zinit/depgraph"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/machine"
)

// symbol is the state in the drawings of zinit 0.3.9.
func symbol(s machine.State) string {
	switch s.(type) {
	case machine.Inactive:
		return "[-]"
	case machine.Blocked:
		return "[?]"
	case machine.Starting:
		return "[>]"
	case machine.Running:
		return "[+]"
	case machine.Stopping:
		return "[!]"
	case machine.Exited:
		return "[.]"
	}
	return "[X]"
}

// drawTree lists all services in start order, each with what it names.
func drawTree(snap *supervise.Snapshot) string {
	var b strings.Builder
	views := snap.StartOrder()
	for i, v := range views {
		branch, bar := "├─", "│"
		if i == len(views)-1 {
			branch, bar = "└─", " "
		}
		fmt.Fprintf(&b, "%s %s %s (%s)\n", branch, symbol(v.State), v.Name, v.State)
		uses := snap.Uses(v.Name)
		for j, u := range uses {
			twig := "├─"
			if j == len(uses)-1 {
				twig = "└─"
			}
			fmt.Fprintf(&b, "%s    %s %s %s (%s)\n", bar, twig, u.Kind, u.View.Name, u.View.State)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// explain says why a service does not start, as zinit 0.3.9 draws it and in a
// sentence of ours.
func explain(snap *supervise.Snapshot, v *supervise.View) sock.WhyBlocked {
	why := sock.WhyBlocked{Name: v.Name, Reason: reason(snap, v), WaitingOn: sock.Names{}, ConflictsWith: sock.Names{}}
	_, why.Blocked = v.State.(machine.Blocked)
	text := fmt.Sprintf("%s %s (%s)", symbol(v.State), v.Name, v.State)
	if !why.Blocked {
		why.Reason = joined(joined(v.Phase, why.Reason), timerWords(v))
		if v.State.String() == sock.Running {
			text += "\n  Can start: all dependencies satisfied"
		} else if why.Reason != "" {
			text += "\n  " + why.Reason
		}
		why.ASCII = text
		return why
	}
	for _, b := range snap.Blockers(v.Name) {
		switch {
		case b.View == nil:
			why.WaitingOn = append(why.WaitingOn, b.Name)
			text += fmt.Sprintf("\n  -> waiting on %s (not configured)", b.Name)
		case b.Kind == depgraph.Conflicts:
			why.ConflictsWith = append(why.ConflictsWith, b.View.Name)
			text += fmt.Sprintf("\n  !> conflicts with %s (%s)", b.View.Name, b.View.State)
		default:
			why.WaitingOn = append(why.WaitingOn, b.View.Name)
			text += fmt.Sprintf("\n  -> waiting on %s (%s)", b.View.Name, b.View.State)
		}
	}
	switch {
	case v.Obstacle != nil:
		inTheWay(&why, v.Obstacle)
	case v.Reason != "":
		text += "\n  -> " + v.Reason
	}
	why.ASCII = text
	return why
}

// inTheWay tells in the shapes of zinit 0.3.9 who is in the way.
func inTheWay(why *sock.WhyBlocked, o *supervise.Obstacle) {
	if o.Filter == "" {
		why.PortConflict = o.Fact
		return
	}
	why.ProcessConflict = &sock.ProcessConflict{Filter: o.Filter, Processes: []sock.ConflictProcess{}}
	for _, p := range o.Intruders {
		why.ProcessConflict.Processes = append(why.ProcessConflict.Processes, sock.ConflictProcess{Name: p.Name, PID: p.Pid})
	}
}

// timerWords says of a service that is down what its timer is about to do; empty for
// others.
func timerWords(v *supervise.View) string {
	switch t := v.Timer; {
	case t == nil || pidOf(v) != 0 || !v.RestartAt().IsZero():
		return ""
	case t.Off:
		return "it was stopped by hand, and its timer waits until it is started: zinit start " + v.Name
	case t.Next.IsZero():
		return "its timer has no next run"
	default:
		return "its timer starts it next at " + t.Next.Local().Format(time.DateTime)
	}
}

package server

import (
	"context"
	"errors"
	"math"
	"sort"

	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/proc"
)

// inspection is the methods that look into a service: its configuration, its
// processes.
func (s *server) inspection() sock.Table {
	name := []sock.Param{nameParam}
	return sock.Table{
		{Name: sock.MethodGet, Access: sock.Read, Summary: "Returns the configuration of a service, defaults filled in.", Params: name, Result: sock.Configured{}, Handle: s.get},
		{Name: sock.MethodStats, Access: sock.Read, Summary: "Tells how much memory and processor a service uses: its main process, and all together.", Params: name, Result: sock.Stats{}, Handle: s.stats},
		{Name: sock.MethodChildren, Access: sock.Read, Summary: "Lists the descendants of the main process of a service.", Params: name, Result: sock.Children{}, Handle: s.children},
		{Name: sock.MethodDebugState, Access: sock.Read, Summary: "Draws all services with their states, relations and child processes.", Result: sock.Output{}, Handle: s.debugState},
		{Name: sock.MethodDebugProcs, Access: sock.Read, Summary: "Draws the processes of a service.", Params: name, Result: sock.Output{}, Handle: s.debugProcesses},
	}
}

func (s *server) get(_ context.Context, c *sock.Call) (any, error) {
	_, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	if v.Config.Exec == "" && !v.Target() {
		// Its file cannot be loaded: defaults would be taken for what is in it.
		return nil, &sock.Error{Code: sock.CodeInvalidConfig, Message: v.Name + ": " + v.Problem, Data: sock.Detail{Word: sock.WordUnusable}}
	}
	return sock.Encoded(config.ToJSON(v.Config)), nil
}

func (s *server) stats(_ context.Context, c *sock.Call) (any, error) {
	_, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	var stats sock.Stats
	if mayHaveProcesses(v) {
		stats.Usage = s.usage(v, s.group(v))
	}
	pid := pidOf(v)
	if pid == 0 {
		return stats, nil
	}
	p, err := s.proc.Lookup(pid, v.Start)
	if errors.Is(err, proc.ErrGone) {
		return stats, nil // the news of its end is on the way
	}
	if err != nil {
		return nil, unread("stats of "+v.Name, err)
	}
	stats.CPUPercent = math.Round(proc.CPUPercent(p)*100) / 100
	stats.MemoryBytes, stats.PID = p.RSS, p.Pid
	return stats, nil
}

func (s *server) children(_ context.Context, c *sock.Call) (any, error) {
	_, v, err := s.view(c)
	if err != nil {
		return nil, err
	}
	list := sock.Children{Children: []sock.Child{}}
	if pidOf(v) == 0 && len(v.Connections) == 0 {
		return list, nil
	}
	tree, err := s.processes()
	if err != nil {
		return nil, unread("children of "+v.Name, err)
	}
	for _, p := range family(tree, v) {
		if p.Pid != pidOf(v) {
			list.Children = append(list.Children, sock.Child{MemoryBytes: p.RSS, Name: p.Name, PID: p.Pid})
		}
	}
	// The highest pid first, as zinit 0.3.9 has them.
	sort.Slice(list.Children, func(i, j int) bool { return list.Children[i].PID > list.Children[j].PID })
	return list, nil
}

// processes are all there are now.
func (s *server) processes() (*proc.Tree, error) {
	all, err := s.proc.All()
	if err != nil {
		return nil, err
	}
	return proc.NewTree(all), nil
}

// family is the main process of a service, and those for its connections, with what
// descends from them.
func family(all *proc.Tree, v *supervise.View) (list []proc.Process) {
	if main, ok := mainProcess(all, v); ok {
		list = append(all.Descendants(main.Pid), main)
	}
	for _, c := range v.Connections {
		if p, ok := all.Find(c.Pid, c.Start); ok {
			list = append(append(list, all.Descendants(p.Pid)...), p)
		}
	}
	return list
}

// mainProcess finds the main process of a service among all; another one that
// got its pid after it is none.
func mainProcess(all *proc.Tree, v *supervise.View) (proc.Process, bool) {
	pid := pidOf(v)
	if pid == 0 {
		return proc.Process{}, false
	}
	return all.Find(pid, v.Start)
}

// unread is how a method answers that could not read the processes it is about.
func unread(what string, err error) error {
	word := sock.WordUnusable
	if errors.Is(err, proc.ErrNoProc) {
		word = sock.WordNoProc
	}
	return sock.Refuse(word, "%s: %s", what, err)
}

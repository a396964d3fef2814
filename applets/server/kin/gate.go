package kin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/ports"
	"zinit/supervise/proc"
)

// A Gatekeeper finds out who is in the way of a service, and ends them for one that has
// kill_others. What belongs to zinit is never ended, but for what an earlier run of
// the same service has left behind.
type Gatekeeper struct {
	Family
	views func() []*supervise.View
	note  func(service, text string) // who was ended
	grace time.Duration              // between SIGTERM and SIGKILL, and after that
	turns chan struct{}              // its capacity is how many look at a time
}

const (
	// evictGrace twice is what the supervisor allows for an eviction.
	evictGrace = 5 * time.Second
	// looksAtOnce keeps a boot of many services from having as many threads.
	looksAtOnce = 4
)

// NewGatekeeper looks among a family. views are the services as they are now; note is
// told, from any goroutine, who was ended for which.
func NewGatekeeper(of Family, views func() []*supervise.View, note func(service, text string)) *Gatekeeper {
	return &Gatekeeper{Family: of, views: views, note: note, grace: evictGrace, turns: make(chan struct{}, looksAtOnce)}
}

// Look implements supervise.Gate: done is called once.
func (g *Gatekeeper) Look(ctx context.Context, s *config.Service, ending func(*supervise.Obstacle), done func(*supervise.Obstacle, error)) {
	go func() { done(g.look(ctx, s, ending)) }()
}

func (g *Gatekeeper) look(ctx context.Context, s *config.Service, ending func(*supervise.Obstacle)) (*supervise.Obstacle, error) {
	kin := sync.OnceValue(g.kin)
	found, err := g.holders(s, kin)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if !s.KillOthers {
		return g.obstacle(s, kin(), found, nil), nil
	}
	spared := func(t *proc.Tree, p proc.Process) bool {
		owner, ours := kin().owner(t, p)
		return ours && owner != s.Name
	}
	begins := func() {
		ending(&supervise.Obstacle{
			Fact: fact(found[0], found),
			Next: fmt.Sprintf("kill_others ends it, with SIGKILL after %v", g.grace),
		})
	}
	switch err := ports.Evict(ctx, g.Proc, found, spared, g.grace, begins); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return g.obstacle(s, kin(), found, err), nil
	}
	g.note(s.Name, "ended who was in the way: "+fact(found[0], found))
	// Somebody may have taken its place.
	if found, err = g.holders(s, kin); err != nil || len(found) == 0 {
		return nil, err
	}
	return g.obstacle(s, kin(), found, nil), nil
}

// holders are those in the way of a service.
func (g *Gatekeeper) holders(s *config.Service, kin func() kin) ([]ports.Holder, error) {
	g.turns <- struct{}{}
	defer func() { <-g.turns }()
	claim := ports.Claim{Ports: s.Ports, Filters: s.ProcessFilters}
	found, err := ports.Look(g.Proc, claim, func(t *proc.Tree, p proc.Process) bool {
		_, ours := kin().owner(t, p)
		return ours
	})
	if err != nil {
		if _, none := g.Proc.Read(os.Getpid()); errors.Is(none, proc.ErrNoProc) {
			err = none // that is why, and it says what helps
		}
	}
	return found, err
}

// obstacle puts into words who is in the way, and what helps; failed is why they were
// not ended.
func (g *Gatekeeper) obstacle(s *config.Service, kin kin, found []ports.Holder, failed error) *supervise.Obstacle {
	all, _ := g.Proc.All() // without it nobody is known to be ours
	tree := proc.NewTree(all)
	ownerOf := func(h ports.Holder) (service string, ours bool) {
		if p, ok := tree.Find(h.Pid, h.Start); ok {
			return kin.owner(tree, p)
		}
		return "", false
	}
	h := found[0]
	if errors.Is(failed, ports.ErrProtected) {
		for _, other := range found {
			if owner, ours := ownerOf(other); other.Pid == 0 || ours && owner != s.Name {
				h = other // the reason why all of them were spared
				break
			}
		}
	}
	o := &supervise.Obstacle{Fact: fact(h, found), Filter: h.Filter}
	for _, other := range found {
		if h.Filter != "" && other.Filter == h.Filter {
			o.Intruders = append(o.Intruders, supervise.Intruder{Pid: other.Pid, Name: other.Name})
		}
	}
	owner, ours := ownerOf(h)
	switch {
	case ours && owner == s.Name && failed == nil:
		o.Next = "an earlier run has left it behind: stop it, or set kill_others = true"
	case ours && owner != "" && owner != s.Name:
		o.Next = fmt.Sprintf("it belongs to the service %s: stop %[1]s", owner)
	case ours && owner != s.Name:
		o.Next = "it belongs to zinit: stop what has started it"
	case h.Pid == 0:
		o.Next = "stop it, or take another port"
	case errors.Is(failed, ports.ErrProtected):
		o.Next = "it is above zinit, which does not end it: stop it"
	case failed != nil:
		o.Next = "kill_others did not help: " + failed.Error()
	case s.KillOthers:
		o.Next = "it has taken the place of one that was ended: stop what starts it"
	default:
		o.Next = "stop it, or set kill_others = true"
	}
	return o
}

// fact is who is in the way, with how many more there are.
func fact(h ports.Holder, found []ports.Holder) string {
	pids := map[int]bool{}
	for _, other := range found {
		pids[other.Pid] = true
	}
	switch more := len(pids) - 1; more {
	case 0:
		return h.String()
	case 1:
		return h.String() + " (and 1 process more)"
	default:
		return fmt.Sprintf("%s (and %d processes more)", h, more)
	}
}

// kin is what belongs to zinit at one moment.
type kin struct {
	self, keeper int
	// of has the main processes of services and the members of their cgroups, by pid.
	of map[int]string
	// grouped: every service has a cgroup, so that whoever is in none belongs to none.
	grouped bool
}

func (g *Gatekeeper) kin() kin {
	k := kin{self: os.Getpid(), keeper: g.Keeper, of: map[int]string{}, grouped: true}
	for _, v := range g.views() {
		if v.Target() {
			continue
		}
		if v.Pid != 0 {
			k.of[v.Pid] = v.Name
		}
		members, ok := g.Group(v.Name)
		k.grouped = k.grouped && ok
		for _, pid := range members {
			k.of[pid] = v.Name
		}
	}
	return k
}

// owner reports whether a process belongs to zinit, and to which service of it; empty:
// to none, or nobody knows. It does if it is in the cgroup of a service, in the
// session of a main process, or descends from one of these. A keeper that is not
// process 1 has no children but ours; process 1 also gets those that have lost their
// parents, which are no leaders of sessions like those that it has started itself.
func (k kin) owner(t *proc.Tree, p proc.Process) (service string, ours bool) {
	child := p
	for range maxAncestors {
		if name, ok := k.of[p.Pid]; ok {
			return name, true
		}
		if name, ok := k.of[p.Session]; ok {
			return name, true
		}
		switch {
		case p.Pid == k.self:
			return "", true
		case p.Pid == k.keeper && p.Pid != 1:
			return "", true
		case p.Pid == 1:
			return "", k.keeper == 1 && (child.Pid == 1 || !k.grouped && child.Session == child.Pid)
		}
		child = p
		up, ok := t.Find(p.Ppid, 0)
		if !ok || up.Start > p.Start {
			return "", false
		}
		p = up
	}
	return "", false
}

// maxAncestors ends a ring, which readings of different moments can make.
const maxAncestors = 1000

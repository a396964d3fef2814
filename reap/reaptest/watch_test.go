package reaptest

import (
	"reflect"
	"testing"
	"time"

	"zinit/reap"
)

func all(s *Sim) (list []reap.Event) {
	for {
		if _, more := s.Next(); !more {
			return list
		}
		list = append(list, s.Take()...)
	}
}

func TestADaemonIsWatchedAfterItsParentHasEnded(t *testing.T) {
	good := reap.ExitCode(0)
	tests := []struct {
		name string
		odds Odds
		kill bool
		want []reap.Event
	}{
		{"it lives on until it is killed", Odds{Forks: 100}, true, []reap.Event{
			reap.Watched{Key: "a", Run: 1, Pid: 1002, Start: 1002},
			reap.Exited{Key: "a", Run: 1, Pid: 1002, Status: reap.KilledBy(9)}}},
		{"it has ended before", Odds{Forks: 100, Ends: 100, EndsWell: 100}, false, []reap.Event{
			reap.Watched{Key: "a", Run: 1, Pid: 1002, Start: 1002},
			reap.Exited{Key: "a", Run: 1, Pid: 1002, Status: good}}},
	}
	for _, test := range tests {
		s := New(1, test.odds, time.Unix(0, 0))
		s.Spawn(reap.Spec{Key: "a", Run: 1, Group: true})
		if test.odds.Ends == 0 {
			s.End("a", good)
		}
		if got := all(s); len(got) != 2 {
			t.Fatalf("%s: %v", test.name, got)
		}
		run, pid, ok := s.Daemon("a")
		if !ok {
			t.Fatalf("%s: no daemon", test.name)
		}
		s.Watch("a", run, pid)
		got := s.Take()
		if test.kill {
			s.Signal("a", 1, 9, reap.ScopeMain)
		}
		if got = append(got, all(s)...); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func TestAStrangerIsNotWatched(t *testing.T) {
	s := New(1, Odds{}, time.Unix(0, 0))
	s.Spawn(reap.Spec{Key: "a", Run: 1})
	all(s)
	pid := s.Fork("a")
	s.Watch("a", 1, pid+1)
	if got := s.Take(); len(got) != 1 || got[0].(reap.WatchFailed).Why == "" {
		t.Error(got)
	}
	s.Watch("a", 1, pid)
	if inv := s.Inventory(); len(inv.Children) != 1 || inv.Children[0].Pid != pid || !inv.Children[0].Watched {
		t.Error(inv.Children)
	}
}

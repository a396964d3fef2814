package cli

import (
	"cmp"
	"slices"
	"time"

	"zinit/sock"
)

const group = "/sys/fs/cgroup/zinit/"

// kinds is services of every type, and what can be under way with them.
func kinds() []sock.ServiceInfo {
	running := func(pid int) sock.ServiceState { return sock.ServiceState{State: sock.Running, PID: pid} }
	in := func(d time.Duration) int64 { return startedAt + d.Milliseconds() }
	hour := before(time.Hour)
	return []sock.ServiceInfo{
		{Name: "shop", State: running(862), Details: sock.Details{
			SinceMs: before(26 * time.Hour), Restarts: 2, Run: 3, Phase: "reloading",
			Reason: "its configuration has changed: restart it to apply that"}},
		{Name: "hybrid", State: running(870), Details: sock.Details{SinceMs: hour, Run: 1}},
		{Name: "loose", State: running(871), Details: sock.Details{SinceMs: hour, Run: 1, Reason: "stopping itself"}},
		{Name: "mounts", State: running(0), Details: sock.Details{SinceMs: hour, Run: 1, Phase: "its work is done"}},
		{Name: "schema", State: sock.ServiceState{State: sock.Starting}, Details: sock.Details{SinceMs: before(time.Second), Run: 1, Phase: "exec_start_pre runs"}},
		{Name: "mail", State: sock.ServiceState{State: sock.Stopping, PID: 880}, Details: sock.Details{SinceMs: before(time.Second), Run: 1, Phase: "exec_stop runs", Reason: "stop asked for"}},
		{Name: "getty", State: sock.ServiceState{State: sock.Blocked}, Details: sock.Details{Reason: "waiting for other services to finish starting"}},
		{Name: "eater", State: sock.ServiceState{State: sock.Failed, Reason: &sock.FailureReason{Type: sock.ReasonSignal, Signal: 9}}, Details: sock.Details{
			NextStartMs: in(4 * time.Second), Restarts: 1, Run: 2, Reason: "killed: out of memory: have it use less, or give it more with memory_max"}},
		{Name: "backup", State: sock.ServiceState{State: sock.Exited, ExitCode: code(0)}, Details: sock.Details{
			NextRunMs: in(17*time.Hour + 47*time.Minute), Reason: "exit code 0", Run: 4, SinceMs: hour}},
		{Name: "poll", State: running(890), Details: sock.Details{NextRunMs: in(50 * time.Second), Run: 44, SinceMs: before(10 * time.Second)}},
		{Name: "weekly", State: sock.ServiceState{State: sock.Inactive}, Details: sock.Details{NextRunMs: in(100 * time.Hour)}},
		{Name: "paused", State: sock.ServiceState{State: sock.Exited}, Details: sock.Details{Reason: "stopped", Run: 1}},
	}
}

// kindTimers is the timers of those that have one.
func kindTimers(services []sock.ServiceInfo) []sock.TimerStatus {
	list := []sock.TimerStatus{}
	for _, s := range services {
		t := sock.TimerStatus{Name: s.Name, NextMs: s.NextRunMs, Result: s.State.State}
		switch s.Name {
		case "backup":
			t.LastMs, t.Result = before(6*time.Hour+12*time.Minute), "exit code 0"
		case "poll":
			t.LastMs, t.Skipped = before(10*time.Second), 3
		case "paused":
			t.LastMs, t.Off, t.Result = before(50*time.Hour), true, "stopped"
		}
		if t.NextMs > 0 || t.Off {
			list = append(list, t)
		}
	}
	slices.SortStableFunc(list, func(a, b sock.TimerStatus) int { return cmp.Compare(uint64(a.NextMs-1), uint64(b.NextMs-1)) })
	return list
}

// enrich adds to the status of a service what there is more to say about it.
func enrich(full *sock.ServiceStatusFull) {
	for _, t := range kindTimers([]sock.ServiceInfo{{Name: full.Name, State: full.State, Details: full.Details}}) {
		full.Timer = &t
	}
	up := int64(3600)
	switch full.Name {
	case "shop":
		*full = shop(full)
	case "hybrid":
		full.UptimeSecs, full.Cgroup, full.Type = &up, group+"hybrid.svc", "forking"
		full.Usage = &sock.Usage{
			CPUFrom: sock.FromCgroup, CPUUsec: 1_239_999, MemoryFrom: sock.FromProc, MemoryBytes: 123_456_789, Tasks: 12, TasksFrom: sock.FromCgroup,
		}
		missing := " controller is not available in /sys/fs/cgroup/zinit"
		full.Limits = []sock.Limit{
			{Name: "memory_max", Why: "the memory" + missing}, {Name: "memory_high", Why: "the memory" + missing},
			{Name: "cpu_quota", Why: "the cpu" + missing}, {Name: "tasks_max", Why: "the pids" + missing},
		}
	case "loose":
		full.UptimeSecs, full.Group = &up, "daemon"
		full.CgroupMissing = "no cgroup v2 tree is mounted"
		full.LogProblem = "log file /var/log/loose.log: no space left on device: lines are dropped until it can be written"
		full.Claims = &sock.Claims{Ports: []uint16{80, 443}, ProcessFilters: []string{"apache", "ngi\x1bnx"}, KillOthers: true}
		full.Limits = []sock.Limit{{Name: "tasks_max", Why: full.CgroupMissing}}
		for i, name := range []string{"lost", "st\x1bray", "a", "b", "c"} {
			full.Strays = append(full.Strays, sock.Child{Name: name, PID: 900 + i})
		}
		full.Usage = &sock.Usage{
			CPUFrom: sock.FromProc, CPUUsec: 91_000_000, MemoryFrom: sock.FromProc, MemoryBytes: 1 << 20, Tasks: 1, TasksFrom: sock.FromProc,
		}
	case "paused":
		full.Cgroup, full.Left = group+"paused.svc", []sock.Child{{Name: "session", PID: 910}}
		full.Claims = &sock.Claims{Ports: []uint16{25}}
	case "mounts":
		full.Type, full.Cgroup = "oneshot", group+"mounts.svc"
		full.Usage = &sock.Usage{CPUFrom: sock.FromCgroup, CPUUsec: 10_000, MemoryFrom: sock.FromProc, TasksFrom: sock.FromCgroup}
	}
}

// shop has everything that one service can have at a time.
func shop(full *sock.ServiceStatusFull) sock.ServiceStatusFull {
	up := int64(93600)
	s := *full
	s.UptimeSecs, s.Description, s.Type, s.WatchdogMs = &up, "the shop, with all that belongs to it", "notify", 10_000
	s.StatusText = "serving 1,204 guests, 17 of them at the till, 3 in the queue \x1b[2J and the rest looking around"
	s.User, s.Group, s.Cgroup = "www-data", "www-data", group+"shop.svc"
	s.Usage = &sock.Usage{
		CPUFrom: sock.FromCgroup, CPUUsec: 7_523_000_000, MemoryFrom: sock.FromCgroup, MemoryBytes: 412 << 20, MemoryPeakBytes: 507 << 20,
		OOMKills: 1, Tasks: 34, TasksFrom: sock.FromCgroup,
	}
	s.Limits = []sock.Limit{
		{InForce: true, Name: "memory_max", Value: 512 << 20}, {InForce: true, Name: "memory_high", Value: 480<<20 + 300},
		{InForce: true, Name: "cpu_quota", Value: 1505}, {InForce: true, Name: "cpu_weight", Value: 50}, {InForce: true, Name: "tasks_max", Value: 100},
	}
	s.Timer = &sock.TimerStatus{Name: "shop", LastMs: before(26 * time.Hour), NextMs: startedAt + 1000, Result: "running", Skipped: 1}
	s.Health, s.Source = "2 of 3 checks failed: 127.0.0.1:8080: connect: connection refused", "/etc/zinit/services/shop.toml"
	for i, name := range []string{"hybrid", "mounts", "schema", "mail", "loose"} {
		s.Dependencies = append(s.Dependencies, sock.Dependency{DepType: []string{"requires", "after"}[i/4], Name: name, State: sock.ServiceState{State: sock.Running}})
	}
	return s
}

package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"zinit/sock"
)

// changeRows is the methods that change which services there are, and those that
// concern many.
func (f *fake) changeRows() []fakeRow {
	names := func(pick func(*sock.ServiceInfo) bool) sock.Names {
		list := sock.Names{}
		for i := range f.services {
			if pick(&f.services[i]) {
				list = append(list, f.services[i].Name)
			}
		}
		return list
	}
	up := func(i *sock.ServiceInfo) bool { return i.State.State == sock.Running }
	return []fakeRow{
		{sock.MethodSet, nil, fakeSet},
		{sock.MethodDelete, nil, f.delete},
		{sock.MethodReload, nil, f.reload},
		{sock.MethodStartAll, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			list := names(func(i *sock.ServiceInfo) bool { return i.Name == "api" || up(i) })
			return sock.StartedResult{Count: len(list), Started: list}, nil
		}},
		{sock.MethodStopAll, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			list := names(func(i *sock.ServiceInfo) bool { return i.Name == "shot" || up(i) })
			return sock.StoppedResult{Count: len(list), Stopped: list}, nil
		}},
		{sock.MethodDeleteAll, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			list := names(up)
			return sock.DeletedResult{Count: len(list), Deleted: list}, nil
		}},
	}
}

// fakeSet refuses what the names of the parts ask it to.
func fakeSet(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
	var p sock.SetParams
	var described sock.ServiceConfig
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(p.Config, &described); err != nil {
		return nil, err
	}
	name := described.Service.Name
	path := "/etc/zinit/services/" + name + ".toml"
	result := sock.SetResult{Name: name, Path: path, Warnings: sock.Names{}}
	switch {
	case strings.Contains(name, " "):
		return nil, sock.ValidationFailed([]string{
			"service.name '" + name + "' contains invalid characters (use alphanumeric, dash, underscore)", "service.exec cannot be empty",
		})
	case described.Service.Exec == "nosuch":
		return nil, sock.ExecNotFound("nosuch")
	case slices.Contains(described.Dependencies.Requires, "nosuch"):
		return nil, sock.DependencyNotFound("nosuch")
	case name == "full":
		return nil, sock.PersistFailed(path, fmt.Errorf("no space left on device"))
	case name == "odd":
		result.Warnings = sock.Names{"logging.forward has no effect: remove it"}
	}
	if p.Persist != nil && !*p.Persist && name != "original" {
		result.Path = ""
	}
	return result, nil
}

func (f *fake) delete(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
	var p sock.DeleteParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	switch {
	case f.find(p.Name) == nil:
		return nil, sock.UnknownService(p.Name)
	case p.Name == "db" && !p.Cascade:
		return nil, sock.Refuse(sock.WordRequired, "db: web requires it: remove web first, or use --cascade")
	}
	return sock.Done, nil
}

// reload has a lot to tell about all services, and nothing about web alone.
func (f *fake) reload(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
	var p sock.ReloadParams
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	r := sock.ReloadResult{
		DryRun: p.DryRun, ConfigErrors: [][2]string{}, Failed: []sock.NamedText{}, Problems: []string{},
	}
	switch p.Name {
	case "":
		r.Added, r.Changed, r.Removed = sock.Names{"cache"}, sock.Names{"web", "log"}, sock.Names{"x1"}
		r.Restarted, r.Started, r.Stopped = sock.Names{"web"}, sock.Names{"cache"}, sock.Names{"x1", "x9"}
		r.RestartToApply = sock.Names{"log"}
		r.ConfigErrors = [][2]string{{"x9", "x1"}, {"missing", "nosuch"}}
		r.Failed = []sock.NamedText{{Name: "x9", Text: "x9: requires x1, which does not exist: add it, or drop it from requires"}}
		r.Problems = []string{"/etc/zinit/services/typo.toml:3: service.exce: unknown key: did you mean exec?"}
	case "db":
		r.Changed, r.Restarted = sock.Names{"db"}, sock.Names{"db"}
	case "conf":
		return nil, &sock.Error{Code: sock.CodeCycle, Message: "cyclic dependency: conf -> db -> conf: remove one of these dependencies", Data: sock.Detail{Word: sock.WordCycle}}
	default:
		if f.find(p.Name) == nil {
			return nil, sock.UnknownService(p.Name)
		}
	}
	return r, nil
}

// lookRows is the methods that tell more about services.
func (f *fake) lookRows() []fakeRow {
	name := []sock.Param{{Name: "name", Type: "string", Required: true}}
	return []fakeRow{
		{sock.MethodLogsTail, name, fakeTail},
		{sock.MethodLogsQuery, nil, func(c *sock.Call, _ *sock.ServiceInfo) (any, error) {
			var p sock.LogsQueryParams
			if err := json.Unmarshal(c.Raw, &p); err != nil {
				return nil, err
			}
			all := []sock.LogLine{}
			for _, lines := range written() {
				for _, l := range lines {
					if l.TimestampMs >= p.SinceMs && strings.Contains(l.Content, p.Grep) {
						all = append(all, l)
					}
				}
			}
			slices.SortFunc(all, func(a, b sock.LogLine) int {
				return cmp.Or(cmp.Compare(a.TimestampMs, b.TimestampMs), cmp.Compare(a.Service, b.Service))
			})
			return all[max(0, len(all)-int(p.Lines)):], nil
		}},
		{sock.MethodDebugState, nil, func(*sock.Call, *sock.ServiceInfo) (any, error) {
			return sock.Output{Output: "=== Service Graph State ===\n\n[X] never - Failed (exited with code 3)\n    → required by: multi-user\n\n" +
				"[+] web - Running (pid=862, uptime=26h0m)\n    restart_count: 2, next_delay: 2000ms\n    ← depends on:\n      ✓ requires db (running)\n\n"}, nil
		}},
		{sock.MethodDebugProcs, name, func(_ *sock.Call, i *sock.ServiceInfo) (any, error) {
			if i.State.PID == 0 {
				return sock.Output{Output: i.Name + " is not running"}, nil
			}
			return sock.Output{Output: fmt.Sprintf("%s (pid=%d)\n  ├─ sleep (pid=17866, ppid=%[2]d, sleeping)\n  └─ s\x1bp (pid=17867, ppid=%[2]d, sleeping)\n", i.Name, i.State.PID)}, nil
		}},
	}
}

// written is what the services have written, by name.
func written() map[string][]sock.LogLine {
	line := func(service string, ago int64, stream, text string) sock.LogLine {
		return sock.LogLine{Service: service, TimestampMs: startedAt - ago, Stream: stream, Content: text}
	}
	return map[string][]sock.LogLine{
		"web": {line("web", 7200_000, "zinit", "web: starts"), line("web", 60_000, "stdout", "GET /"), line("web", 20_000, "stderr", "oops: \x1b[31mred\x1b[0m"), line("web", 0, "stdout", "")},
		"db":  {line("db", 30_000, "stderr", "slow query"), line("db", 20_000, "stdout", "checkpoint")},
	}
}

func fakeTail(c *sock.Call, info *sock.ServiceInfo) (any, error) {
	p := sock.LogsTailParams{Lines: 100}
	if err := json.Unmarshal(c.Raw, &p); err != nil {
		return nil, err
	}
	lines := []sock.LogLine{}
	for _, l := range written()[info.Name] {
		if l.TimestampMs >= p.SinceMs && (p.UntilMs == 0 || l.TimestampMs <= p.UntilMs) && (p.Stream == "" || p.Stream == l.Stream) && strings.Contains(l.Content, p.Grep) {
			lines = append(lines, l)
		}
	}
	return lines[max(0, len(lines)-int(p.Lines)):], nil
}

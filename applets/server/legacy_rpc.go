package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"zinit/sock"
	"zinit/sock/legacy"
	"zinit/supervise/config"
	"zinit/supervise/proc"
)

// The error codes of the last releases of zinit 0.2. The same numbers mean other things
// in zinit 0.3.
const (
	legacyNotFound     = -32000
	legacyMonitored    = -32001
	legacyIsUp         = -32002
	legacyIsDown       = -32003
	legacyBadSignal    = -32004
	legacyConfigError  = -32005
	legacyShuttingDown = -32006
	legacyExists       = -32007
	legacyFileError    = -32008
)

// legacyRow is a method of the last releases of zinit 0.2. Its parameters come by name
// or, in this order, by position.
type legacyRow struct {
	name, summary string
	access        sock.Access
	params        []string
	result        any
	handle        func(ctx context.Context, p map[string]json.RawMessage) (any, error)
}

// legacyTable is the methods of the last releases of zinit 0.2.
func (s *server) legacyTable() sock.Table {
	b := legacyServer{s}
	act := func(f func(ctx context.Context, name string) error) func(context.Context, map[string]json.RawMessage) (any, error) {
		return func(ctx context.Context, p map[string]json.RawMessage) (any, error) {
			name, err := legacyName(p)
			if err == nil {
				err = f(ctx, name)
			}
			return nil, err
		}
	}
	one := []string{"name"}
	rows := []legacyRow{
		{"service_list", "Lists all services with their states in the words of zinit 0.2.", sock.Read, nil, map[string]string(nil),
			func(context.Context, map[string]json.RawMessage) (any, error) { return b.List() }},
		{"service_status", "Tells the state of a service as zinit 0.2 did.", sock.Read, one, legacy.Status{}, b.statusCall},
		{"service_start", "Starts a service, as zinit 0.2 did.", sock.Change, one, sock.Null{}, act(b.Start)},
		{"service_stop", "Stops a service, as zinit 0.2 did.", sock.Change, one, sock.Null{}, act(b.Stop)},
		{"service_monitor", "Takes in the file of a service and starts it.", sock.Change, one, sock.Null{}, act(b.Monitor)},
		{"service_forget", "Drops a service that was stopped; its file stays.", sock.Change, one, sock.Null{}, act(b.Forget)},
		{"service_kill", "Sends a signal, by its full name, to the processes of a service.", sock.Change, []string{"name", "signal"}, sock.Null{}, b.killCall},
		{"service_create", "Writes NAME.yaml. It is not started: see service_monitor.", sock.Change, []string{"name", "content"}, "", b.createCall},
		{"service_delete", "Removes NAME.yaml, and nothing else.", sock.Change, one, "", b.deleteCall},
		{"service_get", "Returns what is in the file of a service.", sock.Read, one, map[string]any(nil), b.getCall},
		{"service_stats", "Tells what the processes of a service use, as zinit 0.2 did.", sock.Read, one, legacyStats{}, b.statsCall},
		{"system_shutdown", "Stops all services and the server.", sock.Change, nil, sock.Null{},
			func(context.Context, map[string]json.RawMessage) (any, error) { return nil, b.Shutdown() }},
		{"system_reboot", "The same, and starts the machine again, where that is ours.", sock.Change, nil, sock.Null{},
			func(context.Context, map[string]json.RawMessage) (any, error) { return nil, b.Reboot() }},
		{"system_start_http_server", "Is refused: there is no listener for HTTP.", sock.Change, []string{"address"}, sock.Null{}, noHTTP},
		{"system_stop_http_server", "Is refused: there is no listener for HTTP.", sock.Change, nil, sock.Null{}, noHTTP},
		{"stream_currentLogs", "Returns the last lines in the form of zinit 0.2, of one service or of all.", sock.Read, one, []string(nil), b.linesCall},
	}
	table := sock.Table{}
	for _, r := range rows {
		table = append(table, r.method())
	}
	return append(table, sock.Method{
		Name: sock.MethodLegacyFollow, Access: sock.Read, Summary: "Tells each line as it comes, in the form of zinit 0.2, of one service or of all.",
		Params: legacyParamRows("name"), Result: "", Streams: true, Handle: b.followCall,
		Pushes: []sock.Push{{Name: sock.MethodLegacyFollow, Params: sock.LegacySubscription{}}},
	})
}

// legacyParamRows describes parameters that may come by position.
func legacyParamRows(names ...string) (params []sock.Param) {
	for _, name := range names {
		p := sock.Param{Name: name, Type: "string", Lax: true, Summary: "by name, or by position"}
		if name == "content" {
			p.Type, p.Of, p.Summary = "object", map[string]any(nil), "the keys of the file; by name, or by position"
		}
		params = append(params, p)
	}
	return params
}

func (r *legacyRow) method() sock.Method {
	return sock.Method{
		Name: r.name, Access: r.access, Summary: r.summary, Params: legacyParamRows(r.params...), Result: r.result,
		Waits: r.access == sock.Change,
		Handle: func(ctx context.Context, c *sock.Call) (any, error) {
			p, err := legacyParams(c.Raw, r.params)
			if err != nil {
				return nil, err
			}
			result, err := r.handle(ctx, p)
			return result, legacyRPCError(r.name, p, err)
		},
	}
}

// legacyParams takes parameters by name or by position.
func legacyParams(raw json.RawMessage, names []string) (map[string]json.RawMessage, error) {
	p := map[string]json.RawMessage{}
	var list []json.RawMessage
	switch {
	case raw == nil || json.Unmarshal(raw, &p) == nil:
		return p, nil
	case json.Unmarshal(raw, &list) != nil:
		return nil, &sock.Error{Code: sock.CodeInvalidParams, Message: "invalid params: an object or an array is expected"}
	}
	for i, name := range names {
		if i < len(list) {
			p[name] = list[i]
		}
	}
	return p, nil
}

func legacyText(p map[string]json.RawMessage, key string) (string, error) {
	var text string
	if p[key] == nil || json.Unmarshal(p[key], &text) != nil {
		return "", &sock.Error{Code: sock.CodeInvalidParams, Message: fmt.Sprintf("missing '%s' parameter", key)}
	}
	return text, nil
}

// legacyName is the parameter name, which leads to no other directory.
func legacyName(p map[string]json.RawMessage) (string, error) {
	name, err := legacyText(p, "name")
	if err == nil && strings.ContainsAny(name, `/\`) {
		err = &sock.Error{Code: sock.CodeInvalidParams, Message: fmt.Sprintf("Invalid service name '%s'", name)}
	}
	return name, err
}

// legacyRPCError puts an error into the shape of the last releases of zinit 0.2.
func legacyRPCError(method string, p map[string]json.RawMessage, err error) error {
	var fixed legacy.Error
	if !errors.As(err, &fixed) {
		return err
	}
	name, _ := legacyText(p, "name") // an error without one is about no service
	_, action, _ := strings.Cut(method, "_")
	e := &sock.Error{Code: sock.CodeInternal, Message: string(fixed)}
	word := "Internal"
	switch fixed {
	case legacy.Unknown(name):
		e.Code, e.Message, word = legacyNotFound, fmt.Sprintf("%s: service '%s' not found", action, name), "ServiceNotFound"
	case legacy.AlreadyMonitored(name):
		e.Code, word = legacyMonitored, "ServiceAlreadyMonitored"
	case legacy.IsUp(name):
		e.Code, word = legacyIsUp, "ServiceIsUp"
	case legacy.IsDown(name):
		e.Code, word = legacyIsDown, "ServiceIsDown"
	case legacy.ErrSignal:
		e.Code, word = legacyBadSignal, "InvalidSignal"
	case legacy.ErrConfig:
		e.Code, word = legacyConfigError, "ConfigError"
	case legacy.ErrShuttingDown:
		e.Code, word = legacyShuttingDown, "ShuttingDown"
	}
	e.Data = map[string]any{"action": action, "code_name": word, "retryable": false, "service": name}
	return e
}

func (s legacyServer) statusCall(_ context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	return s.Status(name)
}

func (s legacyServer) killCall(ctx context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	signal, err := legacyText(p, "signal")
	if err != nil {
		return nil, err
	}
	return nil, s.Kill(ctx, name, signal)
}

// legacyDir is where files of zinit 0.2 are written.
func (s *server) legacyDir() string {
	if s.dirs.Legacy != "" {
		return s.dirs.Legacy
	}
	return s.dirs.User
}

func (s legacyServer) createCall(ctx context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	err = s.exclusively(ctx, func() error {
		path, err := config.WriteLegacy(s.legacyDir(), name, p["content"])
		var bad *config.InvalidError
		switch {
		case errors.Is(err, os.ErrExist):
			return &sock.Error{Code: legacyExists, Message: fmt.Sprintf("Service '%s' already exists", name)}
		case errors.As(err, &bad):
			return &sock.Error{Code: legacyConfigError, Message: err.Error()}
		case err != nil:
			return &sock.Error{Code: legacyFileError, Message: fmt.Sprintf("cannot write %s: %v", path, err)}
		}
		return nil
	})
	return fmt.Sprintf("Service '%s' created successfully", name), err
}

func (s legacyServer) deleteCall(ctx context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	err = s.exclusively(ctx, func() error {
		if _, err := os.Lstat(filepath.Join(s.legacyDir(), name+".yaml")); err != nil {
			return legacy.Unknown(name)
		}
		if path, err := config.UnlinkLegacy(s.legacyDir(), name); err != nil {
			return &sock.Error{Code: legacyFileError, Message: fmt.Sprintf("cannot remove %s: %v", path, err)}
		}
		return nil
	})
	return fmt.Sprintf("Service '%s' deleted successfully", name), err
}

func (s legacyServer) getCall(_ context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	v := legacyView(s.sup.Snapshot(), name)
	if v == nil {
		return nil, legacy.Unknown(name)
	}
	if text, err := config.LegacyJSON(v.Config.Source); err == nil {
		return sock.Encoded(text), nil
	}
	return sock.Encoded(config.ToJSON(v.Config)), nil
}

// legacyUse is what one process uses.
type legacyUse struct {
	CPUUsage    float64 `json:"cpu_usage" doc:"percent of one CPU"`
	MemoryUsage int64   `json:"memory_usage" doc:"bytes"`
	PID         int     `json:"pid"`
}

type legacyStats struct {
	Children    []legacyUse `json:"children"`
	CPUUsage    float64     `json:"cpu_usage" doc:"percent of one CPU"`
	MemoryUsage int64       `json:"memory_usage" doc:"bytes"`
	Name        string      `json:"name"`
	PID         int         `json:"pid"`
}

func (s legacyServer) statsCall(_ context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := legacyName(p)
	if err != nil {
		return nil, err
	}
	v := legacyView(s.sup.Snapshot(), name)
	switch {
	case v == nil:
		return nil, legacy.Unknown(name)
	case pidOf(v) == 0:
		return nil, legacy.IsDown(name)
	}
	stats := legacyStats{Name: name, PID: pidOf(v), Children: []legacyUse{}}
	tree, err := s.processes()
	if err != nil {
		return nil, unread("stats of "+name, err)
	}
	main, ok := mainProcess(tree, v)
	if !ok {
		return stats, nil // the news of its end is on the way
	}
	use := func(p proc.Process) legacyUse {
		return legacyUse{math.Round(proc.CPUPercent(p)*100) / 100, p.RSS, p.Pid}
	}
	own := use(main)
	stats.CPUUsage, stats.MemoryUsage = own.CPUUsage, own.MemoryUsage
	for _, p := range tree.Descendants(main.Pid) {
		stats.Children = append(stats.Children, use(p))
	}
	return stats, nil
}

func noHTTP(context.Context, map[string]json.RawMessage) (any, error) {
	return nil, sock.Refuse(sock.WordUnusable, "there is no listener for HTTP: have a proxy pass connections on to the socket")
}

// filterName is the parameter name of what may be about one service; empty: all.
func (s legacyServer) filterName(p map[string]json.RawMessage) (string, error) {
	if p["name"] == nil || string(p["name"]) == "null" {
		return "", nil
	}
	name, err := legacyName(p)
	if err == nil && legacyView(s.sup.Snapshot(), name) == nil {
		err = legacy.Unknown(name)
	}
	return name, err
}

func (s legacyServer) linesCall(ctx context.Context, p map[string]json.RawMessage) (any, error) {
	name, err := s.filterName(p)
	if err != nil {
		return nil, err
	}
	old, err := s.oldLines(ctx, name)
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for _, line := range s.legacyLines(sock.LogBatch{Lines: old}) {
		lines = append(lines, strings.TrimSuffix(string(line), "\n"))
	}
	return lines, nil
}

func (s legacyServer) followCall(ctx context.Context, c *sock.Call) (any, error) {
	p, err := legacyParams(c.Raw, []string{"name"})
	if err != nil {
		return nil, err
	}
	name, err := s.filterName(p)
	if err != nil {
		return nil, legacyRPCError(c.Method.Name, p, err)
	}
	const id = "1" // there is no second one on a connection
	begin := func() error { return c.Begin(id) }
	return nil, s.followLegacy(ctx, name, 0, begin, func(batch sock.LogBatch) error {
		for _, line := range s.legacyLines(batch) {
			err := c.Push(sock.MethodLegacyFollow, sock.LegacySubscription{Result: strings.TrimSuffix(string(line), "\n"), Subscription: id})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

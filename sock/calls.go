package sock

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// One function for each method of the server; the ones that stream are in
// subscribe.go. A method of two names (service.remove) has one function.

// Ping asks the server for its version and pid.
func (c *Client) Ping(ctx context.Context) (Ping, error) {
	return get[Ping](ctx, c, MethodPing, nil)
}

// Shutdown tells the server to stop everything and end. It returns at once;
// that the server is gone shows when the socket no longer answers.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.Call(ctx, MethodShutdown, nil, nil)
}

// List is the names of all services, targets included, in load order.
func (c *Client) List(ctx context.Context) ([]string, error) {
	return get[[]string](ctx, c, MethodList, nil)
}

// ListFull is every service with its state, in load order, in one round trip.
func (c *Client) ListFull(ctx context.Context) ([]ServiceInfo, error) {
	return get[[]ServiceInfo](ctx, c, MethodListFull, nil)
}

// Status is the state of one service.
func (c *Client) Status(ctx context.Context, name string) (ServiceStatus, error) {
	return get[ServiceStatus](ctx, c, MethodStatus, NameParams{name})
}

// StatusFull is the state of one service and of what it depends on.
func (c *Client) StatusFull(ctx context.Context, name string) (ServiceStatusFull, error) {
	return get[ServiceStatusFull](ctx, c, MethodStatusFull, NameParams{name})
}

// StartOptions are the options of Start.
type StartOptions struct {
	// NoDeps leaves what the service requires and wants alone.
	NoDeps bool
}

// Start starts a service and what it requires and wants. It returns when the
// order was taken, not when the service runs: Wait tells that.
func (c *Client) Start(ctx context.Context, name string, o StartOptions) error {
	return c.Call(ctx, MethodStart, StartParams{name, o.NoDeps}, nil)
}

// Stop stops a service and what requires it. It returns when the order was
// taken, not when the process has ended.
func (c *Client) Stop(ctx context.Context, name string) error {
	return c.Call(ctx, MethodStop, NameParams{name}, nil)
}

// Restart stops a service and what requires it, and starts them again. It
// returns when the order was taken.
func (c *Client) Restart(ctx context.Context, name string) error {
	return c.Call(ctx, MethodRestart, NameParams{name}, nil)
}

// Kill sends a signal, by name or number, to the processes of a service; ""
// means SIGTERM.
func (c *Client) Kill(ctx context.Context, name, signal string) error {
	return c.Call(ctx, MethodKill, KillParams{name, signal}, nil)
}

// SignalReload has a service read its own configuration again: by its exec_reload,
// or by its reload signal to the main process. It returns when that was begun.
func (c *Client) SignalReload(ctx context.Context, name string) error {
	return c.Call(ctx, MethodSignalReload, NameParams{name}, nil)
}

// Timers is every service that a timer starts, the next one first.
func (c *Client) Timers(ctx context.Context) ([]TimerStatus, error) {
	return get[[]TimerStatus](ctx, c, MethodTimers, nil)
}

// Why explains why a service does not run, or that nothing keeps it from it.
func (c *Client) Why(ctx context.Context, name string) (WhyBlocked, error) {
	return get[WhyBlocked](ctx, c, MethodWhy, NameParams{name})
}

// Tree is the graph of services as a drawing.
func (c *Client) Tree(ctx context.Context) (Tree, error) {
	return get[Tree](ctx, c, MethodTree, nil)
}

// IsRunning says whether a service runs; one that does not exist does not.
func (c *Client) IsRunning(ctx context.Context, name string) (bool, error) {
	return get[bool](ctx, c, MethodIsRunning, NameParams{name})
}

// Logs is the last lines of a service, each as LogLine.String renders it.
func (c *Client) Logs(ctx context.Context, name string, lines int) ([]string, error) {
	return get[[]string](ctx, c, MethodLogs, LogsParams{name, int64(lines)})
}

// WaitOptions are the options of Wait.
type WaitOptions struct {
	// Timeout is when the server gives up, to the millisecond; 0: as long as ctx
	// lasts.
	Timeout time.Duration

	// Settle also returns when one of the services cannot get there without
	// somebody's help.
	Settle bool
}

// Wait returns when every service has reached the state (one of the seven, or
// "up" or "down": see WaitParams) or the timeout has passed; WaitResult.Reached
// tells which. Without names there is nothing to wait for.
func (c *Client) Wait(ctx context.Context, names []string, state string, o WaitOptions) (WaitResult, error) {
	ms := (o.Timeout + time.Millisecond - 1) / time.Millisecond
	return get[WaitResult](ctx, c, MethodWait,
		WaitParams{Names: append([]string{}, names...), State: state, Settle: o.Settle, TimeoutMs: int64(ms)})
}

// Discover is the OpenRPC document of the server: every method that it offers.
func (c *Client) Discover(ctx context.Context) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, MethodDiscover, nil)
}

// Get is the configuration of one service, with its defaults filled in.
func (c *Client) Get(ctx context.Context, name string) (Configured, error) {
	return get[Configured](ctx, c, MethodGet, NameParams{name})
}

// Stats is what a service uses: its main process, zeros when there is none, and
// all its processes together.
func (c *Client) Stats(ctx context.Context, name string) (Stats, error) {
	return get[Stats](ctx, c, MethodStats, NameParams{name})
}

// Children is every descendant of the main process of a service, the highest
// pid first.
func (c *Client) Children(ctx context.Context, name string) ([]Child, error) {
	r, err := get[Children](ctx, c, MethodChildren, NameParams{name})
	return r.Children, err
}

// SetOptions are the options of Set and Add.
type SetOptions struct {
	// Ephemeral keeps the service out of the configuration directory: it outlives
	// the server, but not the machine.
	Ephemeral bool
}

func setParams(config ServiceConfig, persist bool) (SetParams, error) {
	text, err := json.Marshal(config)
	return SetParams{Config: text, Persist: &persist}, err
}

func (c *Client) set(ctx context.Context, method string, config ServiceConfig, persist bool) (SetResult, error) {
	params, err := setParams(config, persist)
	params.Exact = method == MethodSet
	if err != nil {
		return SetResult{}, fmt.Errorf("cannot encode params of %s: %w", method, err)
	}
	return get[SetResult](ctx, c, method, params)
}

// Set adds a service, or replaces the one of that name in its place, and starts
// it unless its status says otherwise. What is wrong with it is an *Error of
// CodeInvalidParams, CodeValidation, CodeDependencyMissing or CodeExecNotFound,
// and nothing has changed.
func (c *Client) Set(ctx context.Context, config ServiceConfig, o SetOptions) (SetResult, error) {
	return c.set(ctx, MethodSet, config, !o.Ephemeral)
}

// Add adds a service as Set does, but replaces none: one of that name is an *Error
// of CodeServiceExists.
func (c *Client) Add(ctx context.Context, config ServiceConfig, o SetOptions) (SetResult, error) {
	return c.set(ctx, MethodAdd, config, !o.Ephemeral)
}

// Monitor is an Add that does not write to the configuration directory.
func (c *Client) Monitor(ctx context.Context, config ServiceConfig) (SetResult, error) {
	return c.set(ctx, MethodMonitor, config, false)
}

// Register is an Add that does.
func (c *Client) Register(ctx context.Context, config ServiceConfig) (SetResult, error) {
	return c.set(ctx, MethodRegister, config, true)
}

// DeleteOptions are the options of Delete.
type DeleteOptions struct {
	// Cascade also stops what requires the service, which then fails for the lack
	// of it. Without it a service that others require is not deleted: an *Error
	// with WordRequired.
	Cascade bool
}

// Delete stops a service and removes it and its file. When stopping takes long
// it returns before that is done.
func (c *Client) Delete(ctx context.Context, name string, o DeleteOptions) error {
	return c.Call(ctx, MethodDelete, DeleteParams{name, o.Cascade}, nil)
}

// StartAll starts every service of class user whose status does not forbid it,
// and names them.
func (c *Client) StartAll(ctx context.Context) (StartedResult, error) {
	return get[StartedResult](ctx, c, MethodStartAll, nil)
}

// StopAll stops every service of class user, and names them.
func (c *Client) StopAll(ctx context.Context) (StoppedResult, error) {
	return get[StoppedResult](ctx, c, MethodStopAll, nil)
}

// DeleteAll stops and deletes every service of class user, and names them.
func (c *Client) DeleteAll(ctx context.Context) (DeletedResult, error) {
	return get[DeletedResult](ctx, c, MethodDeleteAll, nil)
}

// Reload reads the configuration directory and takes in what has changed, or
// says what would happen. One that brings a new cycle changes nothing and is an
// *Error of CodeCycle.
func (c *Client) Reload(ctx context.Context, p ReloadParams) (ReloadResult, error) {
	return get[ReloadResult](ctx, c, MethodReload, p)
}

// LogsTail is the last lines of a service, 100 unless p says otherwise.
func (c *Client) LogsTail(ctx context.Context, p LogsTailParams) ([]LogLine, error) {
	return get[[]LogLine](ctx, c, MethodLogsTail, p)
}

// LogsFilter is every line of a service that p lets through.
func (c *Client) LogsFilter(ctx context.Context, p LogsTailParams) ([]LogLine, error) {
	return get[[]LogLine](ctx, c, MethodLogsFilter, p)
}

// LogsQuery is the last lines of several services together.
func (c *Client) LogsQuery(ctx context.Context, p LogsQueryParams) ([]LogLine, error) {
	return get[[]LogLine](ctx, c, MethodLogsQuery, p)
}

// DebugState is everything that the server knows, for people.
func (c *Client) DebugState(ctx context.Context) (string, error) {
	r, err := get[Output](ctx, c, MethodDebugState, nil)
	return r.Output, err
}

// DebugProcesses is the tree of the processes of a service, for people.
func (c *Client) DebugProcesses(ctx context.Context, name string) (string, error) {
	r, err := get[Output](ctx, c, MethodDebugProcs, NameParams{name})
	return r.Output, err
}

func get[T any](ctx context.Context, c *Client, method string, params any) (T, error) {
	var result T
	err := c.Call(ctx, method, params, &result)
	return result, err
}

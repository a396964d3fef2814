package sock

// The types of an Event.
const (
	EventState   = "state"   // From, To
	EventAdded   = "added"   // a service appeared in the configuration
	EventRemoved = "removed" // it is gone
	EventChanged = "changed" // its configuration changed
	EventNow     = "now"     // To is its state when the subscription began
	EventGap     = "gap"     // events may be missing before this one: the connection broke
)

// Event is one change of a service.
type Event struct {
	ExitCode *int   `json:"exit_code,omitempty" doc:"of a run that ended with a code"`
	From     string `json:"from,omitempty" doc:"state before"`
	PID      int    `json:"pid,omitempty" doc:"of the run"`
	Reason   string `json:"reason,omitempty" doc:"why"`
	Run      uint64 `json:"run,omitempty" doc:"number of the run"`
	Seq      uint64 `json:"seq" doc:"grows by one with each event of a server; 0 for now and gap"`
	Service  string `json:"service,omitempty"`
	TimeMs   int64  `json:"time_ms" doc:"Unix milliseconds"`
	To       string `json:"to,omitempty" doc:"state after"`
	Type     string `json:"type" enum:"event"`
}

// EventsParams is what events.subscribe takes. No Names: all services. With Now
// the stream begins with the present state of each.
type EventsParams struct {
	Names []string `json:"names,omitempty"`
	Now   bool     `json:"now,omitempty"`
}

// EventBatch is what a subscriber to events gets.
type EventBatch struct {
	Events []Event `json:"events"`
}

// LogsTailParams is what logs.tail and logs.filter take (filter names the service
// "service", too). Stream: stdout, stderr, syslog or zinit, "" for all. SinceMs,
// UntilMs: nothing older or younger, Unix milliseconds. Grep: only lines in which
// this regular expression of Go is found. Lines counts from the end; 0 in
// logs.filter: all.
type LogsTailParams struct {
	Grep    string `json:"grep,omitempty"`
	Name    string `json:"name,omitempty"`
	Service string `json:"service,omitempty"`
	Stream  string `json:"stream,omitempty"`
	SinceMs int64  `json:"since,omitempty"`
	UntilMs int64  `json:"until,omitempty"`
	Lines   int64  `json:"lines,omitempty"`
}

// LogsQueryParams is what logs.query takes: the last Lines (0: 100) of all the Names
// together, no Names: of all services, in the order of their times. The others are
// as in LogsTailParams.
type LogsQueryParams struct {
	Grep    string   `json:"grep,omitempty"`
	Lines   int64    `json:"lines,omitempty"`
	Names   []string `json:"names,omitempty"`
	SinceMs int64    `json:"since,omitempty"`
	Stream  string   `json:"stream,omitempty"`
	UntilMs int64    `json:"until,omitempty"`
}

// LogsFollowParams is what logs.subscribe takes: the last Lines of each of the
// Names, and then every line as it is written; no Names: of all services, and of
// those that will be added. Cursors, by name, continue where a
// LogLine was, over server restarts, and make Lines moot for that name.
type LogsFollowParams struct {
	Cursors map[string]int64 `json:"cursors,omitempty"`
	Grep    string           `json:"grep,omitempty"`
	Lines   int64            `json:"lines,omitempty"`
	Names   []string         `json:"names,omitempty"`
	SinceMs int64            `json:"since,omitempty"`
	Stream  string           `json:"stream,omitempty"`
}

// FollowedLine is a LogLine with where the one after it begins. Dropped counts
// the bytes that were lost before it; the server says that by the batch, and
// Client.Follow notes it here.
type FollowedLine struct {
	LogLine
	Cursor  int64 `json:"cursor" doc:"where the next line begins"`
	Dropped int64 `json:"dropped,omitempty" doc:"not sent; for the clients of the Go package"`
}

// LogBatch is what a subscriber to logs gets. Dropped counts bytes that were
// released before the subscriber came to read them; they are of the service
// whose line comes first.
type LogBatch struct {
	Dropped int64          `json:"dropped,omitempty" doc:"bytes that are lost before the first line"`
	Lines   []FollowedLine `json:"lines"`
}

// Subscribed is the reply to a subscription, before the first batch. Cursors say
// for each service of logs.subscribe where its first line is looked for: who
// loses the connection before any line came can go on from there.
type Subscribed struct {
	Cursors    map[string]int64 `json:"cursors,omitempty" doc:"of logs.subscribe: where the first line of each service is looked for"`
	Subscribed bool             `json:"subscribed" doc:"true"`
}

package supervise

import "fmt"

// A RefusalCode tells refusals apart for clients; the words are stable.
type RefusalCode string

// The codes.
const (
	NotFound     RefusalCode = "not_found"
	NotRunning   RefusalCode = "not_running"
	IsTarget     RefusalCode = "is_target"
	ShuttingDown RefusalCode = "shutting_down"
	InConflict   RefusalCode = "conflict"
	Unusable     RefusalCode = "unusable"
	Cycle        RefusalCode = "cycle"    // it would bring a new one
	Required     RefusalCode = "required" // others require what was to go
)

// A Refusal is why a request was not carried out. Its text names the thing, the
// reason and the next step.
type Refusal struct {
	Code    RefusalCode
	Service string
	Text    string
}

func (r *Refusal) Error() string { return r.Text }

func refuse(code RefusalCode, service, format string, args ...any) *Refusal {
	return &Refusal{code, service, fmt.Sprintf(format, args...)}
}

func notFound(name string) *Refusal {
	return refuse(NotFound, name, "service not found: %s", name)
}

package sock

import (
	"fmt"
	"strings"
)

// The error codes of the wire. They never change their meaning.
const (
	CodeParse             = -32700 // no request could be read; the id is 0
	CodeInvalidRequest    = -32600 // a member of a batch that is no request
	CodeMethodNotFound    = -32601
	CodeInvalidParams     = -32602
	CodeInternal          = -32603 // refused by the supervisor; Error.Word says why
	CodeServiceNotFound   = -32000 // a reading method was given an unknown name
	CodeAlreadyRunning    = -32001
	CodeNotRunning        = -32002
	CodeInvalidConfig     = -32003
	CodeCycle             = -32004
	CodeUnsafeRemoval     = -32005
	CodeServiceExists     = -32010
	CodeValidation        = -32011
	CodeDependencyMissing = -32012
	CodeExecNotFound      = -32013
	CodePersist           = -32014
)

// The stable words by which a client tells the reasons of one code apart.
const (
	WordServiceNotFound    = "service_not_found"
	WordNotRunning         = "not_running"
	WordSignal             = "signal"
	WordShuttingDown       = "shutting_down"
	WordConflict           = "conflict"
	WordUnusable           = "unusable"
	WordTarget             = "target"
	WordAccessDenied       = "access_denied"
	WordTooManyConnections = "too_many_connections"
	WordFrameTooLarge      = "frame_too_large"
	WordFrameTimeout       = "frame_timeout"
	WordTooDeep            = "too_deep"
	WordNotUTF8            = "not_utf8"
	WordBatchSize          = "batch_size"
	WordInvalidParam       = "invalid_param"
	WordCycle              = "cycle"
	WordRequired           = "required" // others require what was to be deleted
	WordSystem             = "system"   // a service of the system's is not changed over the wire
	WordSlow               = "slow"     // a subscriber that did not keep up
	WordCheckFailed        = "check_failed"
	WordNoProc             = "no_proc"  // there is no /proc to read processes from
	WordNotInit            = "not_init" // process 1 is not the keeper, so that the machine is not ours to end
	WordExists             = "exists"   // there is a service of that name already
	WordPersist            = "persist"  // a file of the configuration could not be written or removed
	WordProxyNotFound      = "proxy_not_found"
	WordInvalidProxy       = "invalid_proxy" // an address of it cannot be used, or something else of it
)

// An Error is what a call was answered with instead of a result. Message is
// meant for a person; a program branches on Code and Word.
type Error struct {
	Code    int    `json:"code" doc:"stable"`
	Message string `json:"message" doc:"for people"`

	// Data is nil, a Detail, or what the method documents. At the client it is
	// what encoding/json makes of it.
	Data any `json:"data,omitempty" doc:"an object; its code, if it has one, is a stable word"`
}

// Error is the message alone, as zinit 0.3.9 shows it.
func (e *Error) Error() string { return e.Message }

// Detail is the data of errors that carry a stable word.
type Detail struct {
	Word string `json:"code"`
}

// Word is the stable word of the reason, or "" when there is none. It is the
// same on both ends of the wire.
func (e *Error) Word() string {
	switch d := e.Data.(type) {
	case Detail:
		return d.Word
	case map[string]any:
		word, _ := d["code"].(string)
		return word
	}
	return ""
}

// Refuse is an error of CodeInternal: the supervisor will not do it. The word is
// one of the Word constants.
func Refuse(word, format string, args ...any) *Error {
	return &Error{Code: CodeInternal, Message: fmt.Sprintf(format, args...), Data: Detail{word}}
}

// NoService is how methods that only read answer to an unknown name.
func NoService() *Error {
	return &Error{CodeServiceNotFound, "service not found", Detail{WordServiceNotFound}}
}

// UnknownService is how methods that change something answer to an unknown name.
func UnknownService(name string) *Error {
	return Refuse(WordServiceNotFound, "service not found: %s", name)
}

// ServiceNotRunning answers a kill of a service without a process.
func ServiceNotRunning(name string) *Error {
	return Refuse(WordNotRunning, "service not running: %s", name)
}

// BadSignal answers a kill with a signal that does not exist or was refused:
// why is "unknown signal", "invalid signal number" or the system's answer.
func BadSignal(name, signal, why string) *Error {
	return Refuse(WordSignal, "signal error for service '%s' (signal %s): %s", name, signal, why)
}

// ShuttingDown answers every change once the server has begun to stop.
func ShuttingDown() *Error {
	return Refuse(WordShuttingDown, "supervisor not available")
}

// ValidationFailed lists everything that is wrong with a configuration.
func ValidationFailed(problems []string) *Error {
	return &Error{CodeValidation, "Validation failed", map[string]any{"errors": problems}}
}

// DependencyNotFound names the dependency that a new configuration lacks.
func DependencyNotFound(name string) *Error {
	return &Error{Code: CodeDependencyMissing, Message: fmt.Sprintf("Dependency '%s' not found", name)}
}

// ExecNotFound names the program that a new configuration lacks.
func ExecNotFound(word string) *Error {
	return &Error{Code: CodeExecNotFound, Message: "Executable not found: " + word}
}

// PersistFailed says why a configuration could not be written to path.
func PersistFailed(path string, why error) *Error {
	return &Error{Code: CodePersist, Message: fmt.Sprintf("Failed to write %s: %s", path, strings.TrimSpace(why.Error()))}
}

func unknownMethod() *Error {
	return &Error{Code: CodeMethodNotFound, Message: "unknown method"}
}

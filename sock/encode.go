package sock

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// appender is a shape that writes itself as JSON. The shapes that are asked for
// most do, because it is several times as fast as reflection, and because some
// show only the fields of their kind.
type appender interface {
	appendJSON(b []byte) []byte
}

// Invariant: keys come out alphabetically, as zinit 0.3.9 sends them.

func (n Names) appendJSON(b []byte) []byte {
	b = append(b, '[')
	for i, name := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
	}
	return append(b, ']')
}

func (s ServiceState) appendJSON(b []byte) []byte {
	switch s.State {
	case Blocked:
		b = append(b, `{"state":"blocked","waiting_on":`...)
		return append(s.WaitingOn.appendJSON(b), '}')
	case Starting, Running, Stopping:
		b = appendInt(append(b, '{'), `"pid":`, int64(s.PID))
		b = append(b, ',')
	case Exited:
		b = append(b, `{"exit_code":`...)
		if s.ExitCode == nil {
			b = append(b, "null,"...)
		} else {
			b = append(strconv.AppendInt(b, int64(*s.ExitCode), 10), ',')
		}
	case Failed:
		b = append(b, `{"reason":`...)
		if s.Reason == nil {
			b = append(b, "null,"...)
		} else {
			b = append(s.Reason.appendJSON(b), ',')
		}
	default:
		b = append(b, '{')
	}
	b = appendString(append(b, `"state":`...), s.State)
	return append(b, '}')
}

func (r FailureReason) appendJSON(b []byte) []byte {
	b = append(b, '{')
	switch r.Type {
	case ReasonExitCode:
		b = append(appendInt(b, `"code":`, int64(r.Code)), ',')
	case ReasonSignal:
		b = append(appendInt(b, `"signal":`, int64(r.Signal)), ',')
	case ReasonHealthCheckFailed:
		b = append(appendInt(b, `"attempts":`, int64(r.Attempts)), ',')
	case ReasonDependencyFailed:
		b = append(appendString(append(b, `"service":`...), r.Service), ',')
	case ReasonSpawnError:
		b = append(appendString(append(b, `"message":`...), r.Message), ',')
	case ReasonMissingDependency:
		b = append(appendString(append(b, `"dependency":`...), r.Dependency), ',')
	}
	b = appendString(append(b, `"type":`...), r.Type)
	return append(b, '}')
}

// appendHead writes the details that come before "state" in the alphabet and
// after "name", except for pid, which is between them: the caller's if pid is
// not negative.
func (d *Details) appendHead(b []byte, pid int64) []byte {
	if d.NextRunMs != 0 {
		b = appendInt(b, `,"next_run_ms":`, d.NextRunMs)
	}
	if d.NextStartMs != 0 {
		b = appendInt(b, `,"next_start_ms":`, d.NextStartMs)
	}
	if d.OnDemand {
		b = append(b, `,"on_demand":true`...)
	}
	if d.OpenConnections != 0 {
		b = appendInt(b, `,"open_connections":`, d.OpenConnections)
	}
	if d.Phase != "" {
		b = appendString(append(b, `,"phase":`...), d.Phase)
	}
	if pid >= 0 {
		b = appendInt(b, `,"pid":`, pid)
	}
	if d.Problem != "" {
		b = appendString(append(b, `,"problem":`...), d.Problem)
	}
	if d.Reason != "" {
		b = appendString(append(b, `,"reason":`...), d.Reason)
	}
	if d.Restarts != 0 {
		b = appendInt(b, `,"restarts":`, d.Restarts)
	}
	if d.Run != 0 {
		b = strconv.AppendUint(append(b, `,"run":`...), d.Run, 10)
	}
	if d.SinceMs != 0 {
		b = appendInt(b, `,"since_ms":`, d.SinceMs)
	}
	return b
}

func (s ServiceStatus) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if s.Error != "" {
		b = append(appendString(append(b, `"error":`...), s.Error), ',')
	}
	if s.ExitCode != nil {
		b = append(appendInt(b, `"exit_code":`, int64(*s.ExitCode)), ',')
	}
	b = appendString(append(b, `"name":`...), s.Name)
	b = s.appendHead(b, int64(s.PID))
	b = appendString(append(b, `,"state":`...), s.State)
	if s.UptimeSecs != 0 {
		b = appendInt(b, `,"uptime_secs":`, s.UptimeSecs)
	}
	return append(b, '}')
}

func (s ServiceInfo) appendJSON(b []byte) []byte {
	b = strconv.AppendBool(append(b, `{"is_target":`...), s.IsTarget)
	b = appendString(append(b, `,"name":`...), s.Name)
	b = s.appendHead(b, -1)
	b = s.State.appendJSON(append(b, `,"state":`...))
	return append(b, '}')
}

func (d Dependency) appendJSON(b []byte) []byte {
	b = appendString(append(b, `{"dep_type":`...), d.DepType)
	b = appendString(append(b, `,"name":`...), d.Name)
	b = strconv.AppendBool(append(b, `,"satisfied":`...), d.Satisfied)
	b = d.State.appendJSON(append(b, `,"state":`...))
	return append(b, '}')
}

func (s ServiceStatusFull) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if s.Cgroup != "" {
		b = append(appendString(append(b, `"cgroup":`...), s.Cgroup), ',')
	}
	if s.CgroupMissing != "" {
		b = append(appendString(append(b, `"cgroup_missing":`...), s.CgroupMissing), ',')
	}
	if s.Claims != nil {
		b = append(appendAny(b, `"claims":`, s.Claims), ',')
	}
	if len(s.Connections) > 0 {
		b = append(appendAny(b, `"connections":`, s.Connections), ',')
	}
	if s.ConnectionsMax != 0 {
		b = append(appendInt(b, `"connections_max":`, s.ConnectionsMax), ',')
	}
	if s.ConnectionsTotal != 0 {
		b = append(appendInt(b, `"connections_total":`, s.ConnectionsTotal), ',')
	}
	b = appendList(append(b, `"dependencies":`...), s.Dependencies)
	b = appendText(b, `,"description":`, s.Description)
	b = appendText(b, `,"group":`, s.Group)
	b = appendText(b, `,"health":`, s.Health)
	b = strconv.AppendBool(append(b, `,"is_target":`...), s.IsTarget)
	if len(s.Left) > 0 {
		b = appendAny(b, `,"left":`, s.Left)
	}
	if len(s.Limits) > 0 {
		b = appendAny(b, `,"limits":`, s.Limits)
	}
	b = appendText(b, `,"log_problem":`, s.LogProblem)
	b = appendString(append(b, `,"name":`...), s.Name)
	b = s.appendHead(b, -1)
	if len(s.Sockets) > 0 {
		b = appendAny(b, `,"sockets":`, s.Sockets)
	}
	b = appendText(b, `,"source":`, s.Source)
	b = s.State.appendJSON(append(b, `,"state":`...))
	b = appendText(b, `,"status_text":`, s.StatusText)
	if len(s.Strays) > 0 {
		b = appendAny(b, `,"strays":`, s.Strays)
	}
	if s.Timer != nil {
		b = appendAny(b, `,"timer":`, s.Timer)
	}
	b = appendText(b, `,"type":`, s.Type)
	if s.UptimeSecs == nil {
		b = append(b, `,"uptime_secs":null`...)
	} else {
		b = appendInt(b, `,"uptime_secs":`, *s.UptimeSecs)
	}
	if s.Usage != nil {
		b = appendAny(b, `,"usage":`, s.Usage)
	}
	b = appendText(b, `,"user":`, s.User)
	if s.WatchdogMs != 0 {
		b = appendInt(b, `,"watchdog_ms":`, s.WatchdogMs)
	}
	return append(b, '}')
}

// appendText writes a key with its text, unless that is empty.
func appendText(b []byte, key, text string) []byte {
	if text == "" {
		return b
	}
	return appendString(append(b, key...), text)
}

// appendAny writes a key with a value that is rare, and that cannot fail.
func appendAny(b []byte, key string, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte("null")
	}
	return append(append(b, key...), text...)
}

// EncodeList is the result of service.list_full, encoded once for many calls.
func EncodeList(list []ServiceInfo) Encoded {
	return appendList(make([]byte, 0, 128*len(list)+2), list)
}

func appendList[T appender](b []byte, list []T) []byte {
	b = append(b, '[')
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = list[i].appendJSON(b)
	}
	return append(b, ']')
}

// MarshalJSON and its siblings let the shapes be encoded by anybody.
func (n Names) MarshalJSON() ([]byte, error) { return n.appendJSON(nil), nil }

// MarshalJSON shows the fields that belong to the state.
func (s ServiceState) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// MarshalJSON shows the field that belongs to the type.
func (r FailureReason) MarshalJSON() ([]byte, error) { return r.appendJSON(nil), nil }

// MarshalJSON leaves out what is empty.
func (s ServiceStatus) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// MarshalJSON leaves out what is empty.
func (s ServiceInfo) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// MarshalJSON shows every field of zinit 0.3.9 and leaves out ours when empty.
func (s ServiceStatusFull) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

func appendInt(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(append(b, key...), v, 10)
}

// appendString writes a JSON string. Unlike encoding/json it leaves < > & as
// they are, as the original does; what is not UTF-8 becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		b = appendEscape(append(b, s[start:i]...), c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// unquote is the text of a valid JSON string.
func unquote(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	for _, c := range raw {
		if c == '\\' {
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return "" // the frame was valid, so this does not happen
			}
			return s
		}
	}
	return string(raw[1 : len(raw)-1])
}

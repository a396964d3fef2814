package supervise

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"

	"zinit/supervise/machine"
)

// strange is what a server of a later version wrote down of a service and this one
// does not understand. It is kept as it is, under that version's number, until such
// a server reads it again.
type strange struct {
	version         int
	record, machine map[string]json.RawMessage
}

// strangeIn finds what a recollection of that version has that this one does not
// know; nil: nothing.
func strangeIn(version int, text []byte) *strange {
	s := &strange{version: version}
	if json.Unmarshal(text, &s.record) != nil {
		return nil
	}
	if json.Unmarshal(s.record["machine"], &s.machine) == nil {
		forget[machine.Memo](s.machine)
	}
	forget[recollection](s.record)
	if len(s.record)+len(s.machine) == 0 {
		return nil
	}
	return s
}

// forget removes the members that a T has.
func forget[T any](members map[string]json.RawMessage) {
	known := reflect.TypeFor[T]()
	for i := range known.NumField() {
		name, _, _ := strings.Cut(known.Field(i).Tag.Get("json"), ",")
		delete(members, name)
	}
}

// merge adds what is strange to a recollection.
func (s *strange) merge(text []byte) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, s.record)
	if len(s.machine) > 0 {
		var m map[string]json.RawMessage
		if err := json.Unmarshal(all["machine"], &m); err != nil {
			return nil, err
		}
		maps.Copy(m, s.machine)
		inner, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		all["machine"] = inner
	}
	return json.Marshal(all)
}

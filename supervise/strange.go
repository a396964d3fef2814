package supervise

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// strange is what a server of a later version wrote down of a service and this one
// does not understand. It is kept as it is, under that version's number, until such
// a server reads it again.
type strange struct {
	version int
	members *members
}

// members are those of an object that this program does not know.
type members struct {
	own   map[string]json.RawMessage
	below map[string]*members // of the objects in members that it does know
}

// strangeIn finds what a recollection of that version has that this one does not
// know; nil: nothing.
func strangeIn(version int, text []byte) *strange {
	m := unknownIn(text, reflect.TypeFor[recollection]())
	if m == nil {
		return nil
	}
	return &strange{version, m}
}

// unknownIn finds what an object has that the struct t has not; nil: nothing.
func unknownIn(text []byte, t reflect.Type) *members {
	m := &members{below: map[string]*members{}}
	if json.Unmarshal(text, &m.own) != nil {
		return nil
	}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		is := t.Field(i).Type
		if is.Kind() == reflect.Pointer {
			is = is.Elem()
		}
		if is.Kind() == reflect.Struct {
			if unknown := unknownIn(m.own[name], is); unknown != nil {
				m.below[name] = unknown
			}
		}
		delete(m.own, name)
	}
	if len(m.own)+len(m.below) == 0 {
		return nil
	}
	return m
}

// merge adds what is strange to a recollection.
func (s *strange) merge(text []byte) ([]byte, error) { return s.members.merge(text) }

// merge adds the members to an object. Those of an object that is there no more, such as
// a hook that has ended, have gone with it.
func (m *members) merge(text []byte) (merged []byte, err error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, m.own)
	for name, unknown := range m.below {
		if all[name] == nil {
			delete(m.below, name)
			continue
		}
		if all[name], err = unknown.merge(all[name]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(all)
}

package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Carry is [FromJSON] for a service that replaces another one. A text without any key
// of ours comes from a client that knows only those of zinit 0.3.9, and perhaps hands
// back what it has read: what was said with the other keys is kept, as far as it goes
// with the text. kept and lost name these keys.
func Carry(text []byte, was *Service) (s *Service, warnings, kept, lost []string, err error) {
	s, warnings, err = FromJSON(text)
	if err != nil || was.Target || was.Exec == "" {
		return s, warnings, nil, nil, err
	}
	given, ok := tablesOf(text)
	if !ok || knowsOurs(given) {
		return s, warnings, nil, nil, nil
	}
	before, _ := tablesOf(ToJSON(was))
	for _, group := range carried(given, before) {
		added := group.addTo(given, before)
		// What went before was well with the rest: it is this group that is not.
		if with, more, err := FromJSON(added.text()); err == nil {
			s, warnings, given = with, more, added
			kept = append(kept, group.names()...)
		} else {
			lost = append(lost, group.names()...)
		}
	}
	return s, warnings, kept, lost, nil
}

// tables is a description on the wire, by the names of tables and keys.
type tables map[string]map[string]json.RawMessage

// wholeList stands for the key of a table that is a list of tables.
const wholeList = ""

// text is the description as it was read.
func (t tables) text() []byte {
	all := map[string]any{}
	for name, table := range t {
		if all[name] = table; table[wholeList] != nil {
			all[name] = table[wholeList]
		}
	}
	return encodeJSON(all)
}

// tablesOf reads the tables of a description that FromJSON takes; what is no table, or
// null, is left out.
func tablesOf(text []byte) (tables, bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(text, &all) != nil {
		return nil, false
	}
	t := tables{}
	for name, raw := range all {
		var table map[string]json.RawMessage
		if json.Unmarshal(raw, &table) == nil && table != nil {
			t[name] = table
		} else if strings.HasPrefix(string(raw), "[") {
			t[name] = map[string]json.RawMessage{wholeList: raw}
		}
	}
	return t, true
}

// knowsOurs reports that somebody who wrote this knows keys that zinit 0.3.9 has not.
func knowsOurs(t tables) bool {
	for name, table := range t {
		sec := sectionNamed(name)
		if sec == nil {
			continue
		}
		for key := range table {
			if k := sec.find(key); sec.ours || k != nil && k.ours {
				return true
			}
		}
	}
	return false
}

// A carriage is keys of one table that stay or go together.
type carriage struct {
	table string
	keys  []string
}

func (c carriage) names() (list []string) {
	for _, key := range c.keys {
		list = append(list, strings.TrimSuffix(c.table+"."+key, "."))
	}
	return list
}

// carried lists the keys of ours in a description, but for those of a health check
// that the other one has not. The type goes with the keys that are of one type only.
func carried(given, before tables) (groups []carriage) {
	for i := range sections {
		sec := &sections[i]
		if sec.name == "health" && given[sec.name] == nil {
			continue
		}
		var kind, rest carriage
		kind.table, rest.table = sec.name, sec.name
		for _, key := range slices.Sorted(maps.Keys(before[sec.name])) {
			k := sec.find(key)
			switch {
			case key == "restart_policy" && same(given, before, sec.name, "restart"):
				rest.keys = append(rest.keys, key)
			case key == wholeList:
				rest.keys = append(rest.keys, key)
			case k == nil || k.wire || !sec.ours && !k.ours:
			case sec.name == "service" && ofType(key):
				kind.keys = append(kind.keys, key)
			default:
				rest.keys = append(rest.keys, key)
			}
		}
		for _, group := range []carriage{kind, rest} {
			if group.keys != nil {
				groups = append(groups, group)
			}
		}
	}
	return groups
}

// same reports that two descriptions say the same under a key.
func same(a, b tables, table, key string) bool {
	return a[table] != nil && string(a[table][key]) == string(b[table][key])
}

// ofType reports a key of [service] that says of which type it is, or goes with one.
func ofType(key string) bool {
	for _, o := range onlyOf {
		if o.key == key {
			return true
		}
	}
	return key == "type"
}

// addTo is a description with these keys of another one.
func (c carriage) addTo(given, before tables) tables {
	all := maps.Clone(given)
	table := maps.Clone(given[c.table])
	if table == nil {
		table = map[string]json.RawMessage{}
	}
	for _, key := range c.keys {
		table[key] = before[c.table][key]
	}
	all[c.table] = table
	return all
}

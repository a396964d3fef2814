package config

import (
	"slices"
	"strings"
)

// section is a table of a service file.
type section struct {
	name   string
	target bool // it belongs to targets too
	ours   bool // the original has no such table: it is there only if it says something
	keys   []key
}

// key is a key of a section. Each stands once, in keys.go: the loaders, the
// writers, the suggestions and the documentation all read those tables.
type key struct {
	name     string
	also     string // another spelling, or ""
	kind     kind
	words    []string // that a word may be, by index
	older    int      // how many of words the original has, if not all
	required bool
	ours     bool // the original has no such key: it is written only where it differs from its default
	// implied tells that another key says the same of s: this one is not written.
	implied func(s *Service) bool
	wire    bool // for JSON only
	set     func(s *Service, v value)
	// get is what set takes: string, bool, int64, []string, []uint16, []any, environ;
	// nil for what is optional and not given, leftOut for a key that says nothing.
	get func(s *Service) any
}

// kind is what the value of a key is: in the words of the documentation, and in
// those of the original's messages. The original has no word for what it does not
// know: then the setters say all that is wrong.
type kind struct{ doc, wire string }

var (
	kindText   = kind{"text", "a string"}
	kindFlag   = kind{"boolean", "a boolean"}
	kindWord   = kind{"word", "string or map"}
	kindMillis = kind{"milliseconds", "u64"}
	kindU16    = kind{"integer", "u16"}
	kindU32    = kind{"integer", "u32"}
	kindUsize  = kind{"integer", "usize"}
	kindTexts  = kind{"list of texts", "a sequence"}
	kindPorts  = kind{"list of integers", "a sequence"}
	kindEnv    = kind{"table of texts", "a map"}

	kindSize     = kind{doc: "size"}
	kindMemory   = kind{doc: "size or percent"}
	kindPercent  = kind{doc: "percent"}
	kindDuration = kind{doc: "duration"}
	kindInteger  = kind{doc: "integer"}
	kindLimit    = kind{doc: "limit"}
	kindAccount  = kind{doc: "name or number"}
	kindAccounts = kind{doc: "list of names or numbers"}
	kindLines    = kind{doc: "text or list of texts"}
	kindStatuses = kind{doc: "list of codes and signals"}
)

// environ is variables as KEY=VALUE, sorted by key.
type environ []string

// leftOut is the value of a key that says nothing about this service.
type leftOut struct{}

// optional is a text that need not be given.
func optional(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// sections is what a zinit TOML file may hold. A service has all of them but
// [target], which is read in place of [service].
var sections = [...]section{
	{name: "service", keys: serviceKeys[:]},
	{name: "target", target: true, keys: targetKeys[:]},
	{name: "dependencies", target: true, keys: dependencyKeys[:]},
	{name: "lifecycle", keys: lifecycleKeys[:]},
	{name: "health", keys: healthKeys[:]},
	{name: "logging", keys: loggingKeys[:]},
	{name: "rlimits", ours: true, keys: rlimitKeys[:]},
	{name: "limits", ours: true, keys: limitKeys[:]},
	{name: "timer", ours: true, keys: timerKeys[:]},
	{name: "socket", ours: true, keys: socketKeys[:]},
}

// concerns tells whether the section has something to say about s.
func (sec *section) concerns(s *Service) bool {
	switch sec.name {
	case "target":
		return s.Target
	case "health":
		return s.Health != nil
	case "rlimits":
		return len(s.Setup.Rlimits) > 0
	case "limits":
		return s.Limits != Limits{}
	case "timer":
		return s.Timer != nil
	case "socket":
		return len(s.Sockets) > 0
	}
	return !s.Target || sec.target
}

// find is the key of that name or spelling, or nil.
func (sec *section) find(name string) *key {
	for i := range sec.keys {
		if k := &sec.keys[i]; name == k.name || name == k.also && name != "" {
			return k
		}
	}
	return nil
}

// sectionNamed is the section of that name, or nil.
func sectionNamed(name string) *section {
	for i := range sections {
		if sections[i].name == name {
			return &sections[i]
		}
	}
	return nil
}

// planned are keys of later versions. What they ask for is not done: that is said,
// and where it would be dangerous to run without it, the file is refused. An empty
// key stands for the whole table.
var planned = [...]struct {
	table, keys string
	refuse      bool
}{
	{"service", "resource_limits", true},
}

// isPlanned tells whether a later version has the key (or, for "", the table),
// and whether files with it are refused until then.
func isPlanned(table, key string) (yes, refuse bool) {
	for _, p := range planned {
		if p.table == table && (p.keys == key || slices.Contains(strings.Fields(p.keys), key)) {
			return true, p.refuse
		}
	}
	return false, false
}

// Names returns every key that files of this version may have, such as
// "lifecycle.restart_delay_ms", section by section.
func Names() []string {
	var names []string
	for _, s := range sections {
		for _, k := range s.keys {
			if !k.wire {
				names = append(names, s.name+"."+k.name)
			}
		}
	}
	return names
}

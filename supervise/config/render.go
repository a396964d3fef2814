package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Same tells whether two services are the same but for the text they came from:
// Source and Digest do not count.
func (s *Service) Same(o *Service) bool {
	a, b := *s, *o
	a.Source, a.Digest, b.Source, b.Digest = "", [32]byte{}, "", [32]byte{}
	return reflect.DeepEqual(&a, &b)
}

// plainService says of every key what a service says that does not mention it.
func plainService() *Service {
	s := Default()
	s.Health, s.Timer, s.Sockets = newHealth(), &Timer{}, []Socket{{}}
	return s
}

// isDefault tells whether the key says of s what it says of a plain service.
func (k *key) isDefault(s, plain *Service) bool {
	switch a := k.get(s).(type) {
	case nil, string, bool, int64:
		return a == k.get(plain)
	default:
		return reflect.DeepEqual(a, k.get(plain))
	}
}

// isSilent tells whether the key is not written: the original has it not, and it
// says nothing that is not said without it.
func (k *key) isSilent(s, plain *Service) bool {
	return k.implied != nil && k.implied(s) || k.ours && k.isDefault(s, plain)
}

// inFile is what files say of s under this key; false when they leave it out.
func (k *key) inFile(s *Service) (any, bool) {
	switch v := k.get(s).(type) {
	case nil, leftOut:
		return nil, false
	default:
		// A file that names the default policy asks for a oneshot to be retried.
		quiet := k.name == "restart" && s.Oneshot() && !s.Lifecycle.RestartExplicit
		return v, !k.wire && !quiet
	}
}

// ToJSON returns s as service.get shows it: in full, keys in alphabetical order;
// keys that zinit 0.3.9 does not have only where they differ from their default.
// A target is {"is_target":true,"name":NAME}.
func ToJSON(s *Service) []byte {
	if s.Target {
		return encodeJSON(map[string]any{"is_target": true, "name": s.Name})
	}
	config, plain := map[string]any{"health": nil}, plainService()
	for i := range sections {
		if sec := &sections[i]; sec.concerns(s) {
			config[sec.name] = sec.onWire(s, plain, false)
		}
	}
	return encodeJSON(config)
}

// ToBriefJSON is ToJSON without what has its default: as little as FromJSON needs to
// make the same service again. It is not for targets.
func ToBriefJSON(s *Service) []byte {
	config, plain := map[string]any{}, plainService()
	for i := range sections {
		if sec := &sections[i]; sec.concerns(s) {
			if table := sec.onWire(s, plain, true); table != nil {
				config[sec.name] = table
			}
		}
	}
	return encodeJSON(config)
}

// onWire is a table of s, or a list of them where there are several; nil: it says
// nothing.
func (sec *section) onWire(s, plain *Service, brief bool) any {
	parts := sec.tableByTable(s)
	if len(parts) > 1 {
		list := make([]any, len(parts))
		for i, part := range parts {
			list[i] = sec.forWire(part, plain, brief)
		}
		return list
	}
	if table := sec.forWire(parts[0], plain, brief); len(table) > 0 || !brief || sec.name == "timer" {
		return table
	}
	return nil
}

func (sec *section) forWire(s, plain *Service, brief bool) map[string]any {
	table := map[string]any{}
	for i := range sec.keys {
		k := &sec.keys[i]
		v := k.get(s)
		if v == (leftOut{}) || k.isSilent(s, plain) || brief && !k.required && k.isDefault(s, plain) {
			continue
		}
		if word, foreign := originalRestart(s.Lifecycle.Restart); foreign && k.older > 0 {
			v = word
		}
		switch list := v.(type) {
		case []string:
			v = append([]string{}, list...) // not null
		case []uint16:
			v = append([]uint16{}, list...)
		case environ:
			v = list.table()
		}
		table[k.name] = v
	}
	return table
}

func (e environ) table() map[string]string {
	table := make(map[string]string, len(e))
	for _, kv := range e {
		name, text, _ := strings.Cut(kv, "=")
		table[name] = text
	}
	return table
}

// encodeJSON writes < and & as they are, as the original does.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // maps of texts, numbers and lists always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Render returns s as a zinit TOML file: every value, the defaults included, but
// those that are not given and, of the keys that zinit 0.3.9 does not have, those
// that have their default. Reading it gives the same service again.
func Render(s *Service) []byte {
	var b []byte
	plain := plainService()
	for i := range sections {
		if sec := &sections[i]; sec.concerns(s) {
			b = apart(b, sec.inFile(s, plain))
		}
	}
	return b
}

// written is the table as a file has it, or several in double brackets: table writes one,
// which is not there if that is nil.
func (sec *section) written(s *Service, table func(header string, s *Service) []byte) (list [][]byte) {
	parts, header := sec.tableByTable(s), "["+sec.name+"]\n"
	if len(parts) > 1 {
		header = "[[" + sec.name + "]]\n"
	}
	for _, part := range parts {
		if b := table(header, part); b != nil {
			list = append(list, b)
		}
	}
	return list
}

// apart puts an empty line between tables.
func apart(b, table []byte) []byte {
	if b != nil {
		b = append(b, '\n')
	}
	return append(b, table...)
}

// inFile is the table as a file has it, and that of the variables below it; or several.
func (sec *section) inFile(s, plain *Service) (b []byte) {
	for _, table := range sec.written(s, func(header string, s *Service) []byte { return sec.below(header, s, plain) }) {
		b = apart(b, table)
	}
	return b
}

// below is a header and what stands below it.
func (sec *section) below(header string, s, plain *Service) []byte {
	b := []byte(header)
	var env []byte
	for i := range sec.keys {
		k := &sec.keys[i]
		v, given := k.inFile(s)
		switch list, isEnv := v.(environ); {
		case !given || k.isSilent(s, plain):
		case isEnv:
			env = append(env, "\n["+sec.name+"."+k.name+"]\n"...)
			for _, kv := range list {
				name, text, _ := strings.Cut(kv, "=")
				env = append(env, tomlKey(name)+" = "+tomlText(text)+"\n"...)
			}
		default:
			b = append(b, k.name+" = "+tomlValue(v)+"\n"...)
		}
	}
	return append(b, env...)
}

// tomlValue writes a value of a key on one line.
func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return tomlText(v)
	case []string:
		return tomlList(v, tomlText)
	case []uint16:
		return tomlList(v, func(n uint16) string { return strconv.Itoa(int(n)) })
	case []any:
		return tomlList(v, tomlValue)
	case environ:
		if len(v) == 0 {
			return "{}"
		}
		pairs := tomlList(v, func(kv string) string {
			name, text, _ := strings.Cut(kv, "=")
			return tomlKey(name) + " = " + tomlText(text)
		})
		return "{ " + pairs[1:len(pairs)-1] + " }"
	}
	return fmt.Sprint(v)
}

func tomlList[T any](list []T, write func(T) string) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = write(v)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

func tomlKey(key string) string {
	if strings.TrimLeft(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" && key != "" {
		return key
	}
	return tomlText(key)
}

// tomlText writes a text in double quotes, or in single ones where that saves
// escapes.
func tomlText(text string) string {
	if strings.ContainsAny(text, `"\`) && !strings.Contains(text, "'") && strings.IndexFunc(text, isControl) < 0 {
		return "'" + text + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch at := strings.IndexRune("\b\t\n\f\r\"\\", r); {
		case at >= 0:
			b.WriteByte('\\')
			b.WriteByte(`btnfr"\`[at])
		case isControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

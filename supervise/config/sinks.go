package config

import (
	"slices"
	"strings"
)

const (
	// maxFileKeep is how many old log files may stay.
	maxFileKeep = 1000
	// minFileMax: with less the longest line alone would rotate a file.
	minFileMax = 64 << 10
)

// sinkWords is what `log` may name. The store is always there, and none means that
// nothing is kept, not even there.
var sinkWords = [...]string{"store", "stdout", "ring", "syslog", "none"}

// setLog takes logging.log.
func setLog(s *Service, v value) {
	lines := v.lines()
	if list, ok := v.entry.value.([]tomlEntry); ok && len(list) == 0 {
		v.fail("%s is empty: write log = \"none\" to keep nothing, or remove it", v.key)
		return
	}
	l := &s.Logging
	l.Chosen = true
	for _, e := range lines {
		switch word := e.entry.value.(string); word {
		case "store":
		case "stdout":
			l.Stdout = true
		case "ring":
			l.Ring = true
		case "syslog":
			l.Syslog = true
		case "none":
			l.None = true
		default:
			hint := ""
			if near := Nearest(word, sinkWords[:]); near != "" {
				hint = ": did you mean " + inQuotes(near) + "?"
			}
			e.fail("%s is none of %s%s", quoted(word), strings.Join(sinkWords[:], ", "), hint)
		}
	}
	if l.None && (l.Stdout || l.Ring || l.Syslog || len(lines) > 1 && slices.ContainsFunc(lines, isStore)) {
		v.fail("none stands beside others: remove none, or the others")
	}
}

func isStore(v value) bool { return v.entry.value == "store" }

func getLog(s *Service) any {
	l := s.Logging
	if !l.Chosen {
		return nil // what that means is not the same everywhere
	}
	if l.None {
		return []string{"none"}
	}
	sinks := []string{"store"}
	for i, on := range []bool{l.Stdout, l.Ring, l.Syslog} {
		if on {
			sinks = append(sinks, sinkWords[i+1])
		}
	}
	return sinks
}

// setFileMax takes logging.file_max.
func setFileMax(s *Service, v value) {
	n, ok := v.size(0)
	if ok && n > 0 && n < minFileMax {
		v.fail("%d bytes is too little: write \"64K\" or more, or 0 for no limit", n)
		return
	}
	s.Logging.FileMax = n
}

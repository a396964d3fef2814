package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxName is the longest name of a service, in bytes: names become parts of
// file and directory names.
const MaxName = 128

// CheckName tells whether name may be the name of a service or target: ASCII
// letters, digits, dash, underscore and dot, not empty, at most [MaxName] bytes,
// no dot in front. Every name is checked before a file is touched for it. The
// error reads on from what the name is of: "service.name " + error.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("cannot be empty")
	case len(name) > MaxName:
		return fmt.Errorf("%s is %d bytes long: use at most %d", quoted(name), len(name), MaxName)
	case strings.IndexFunc(name, func(r rune) bool { return !nameRune(r) }) >= 0:
		return fmt.Errorf("%s contains invalid characters (use alphanumeric, dash, underscore)", quoted(name))
	case name[0] == '.':
		return fmt.Errorf("%s begins with a dot: remove the dot", quoted(name))
	}
	return nil
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r == '-' || r == '_' || r == '.'
}

// quoted puts text into single quotes for a message, cut when it is long.
func quoted(text string) string { return "'" + printable(text, 60) + "'" }

// printable makes text fit for one line on a terminal: what cannot be printed is
// escaped, and what follows the first most characters is cut.
func printable(text string, most int) string {
	if len(text) > most && utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most]) + "…"
	}
	if strings.IndexFunc(text, unprintable) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unprintable(r rune) bool {
	return r < ' ' || r == utf8.RuneError || r >= 0x7f && r < 0xa0
}

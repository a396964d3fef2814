package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is a value of a file on its way into a Service. Its methods return false,
// having reported why and what to write, when it is not what they are for.
type value struct {
	file  *file
	row   *key   // what is known of the key
	key   string // "lifecycle.restart", as it is spelled
	entry tomlEntry
}

// short is the key as it stands in the file.
func (v value) short() string { return v.key[strings.LastIndexByte(v.key, '.')+1:] }

func (v value) fail(format string, args ...any) {
	v.file.report(Error, v.entry.line, v.key, format, args...)
}

func (v value) warn(format string, args ...any) {
	v.file.report(Warning, v.entry.line, v.key, format, args...)
}

// text takes any string.
func (v value) text() (string, bool) {
	s, ok := v.entry.value.(string)
	if !ok {
		v.fail("must be a text in quotes, not %s: write %s = %s", describe(v.entry.value), v.short(), inQuotes(plain(v.entry.value)))
	}
	return s, ok
}

// nonEmpty takes a string that says something.
func (v value) nonEmpty() (string, bool) {
	s, ok := v.text()
	if ok && strings.TrimSpace(s) == "" {
		v.fail("%s cannot be empty", v.key)
		return "", false
	}
	return s, ok
}

func (v value) flag() (bool, bool) {
	b, ok := v.entry.value.(bool)
	if !ok {
		meant := "true"
		switch strings.ToLower(plain(v.entry.value)) {
		case "false", "no", "off", "0":
			meant = "false"
		}
		v.fail("must be true or false without quotes, not %s: write %s = %s", describe(v.entry.value), v.short(), meant)
	}
	return b, ok
}

// integer takes a number from least to most.
func (v value) integer(least, most int64) (int64, bool) {
	n, ok := v.entry.value.(int64)
	switch {
	case !ok:
		if _, big := v.entry.value.(tooBig); big {
			v.fail("%s is too large: write %s", plain(v.entry.value), atMost(most))
			return 0, false
		}
		meant := plain(v.entry.value)
		if ms, fine := asMillis(v.short(), meant); fine {
			v.fail("must be a number of milliseconds, not %s: write %s = %d", describe(v.entry.value), v.short(), ms)
			return 0, false
		}
		if f, ok := v.entry.value.(float64); ok && f >= 1 && f < 1e15 {
			v.fail("must be a whole number, not %s: write %s = %.0f", meant, v.short(), f)
			return 0, false
		}
		if _, err := strconv.ParseInt(meant, 10, 64); err != nil {
			if meant = "10"; strings.HasSuffix(v.key, "_ms") {
				meant = "1000"
			}
		}
		v.fail("must be a number without quotes, not %s: write %s = %s", describe(v.entry.value), v.short(), meant)
		return 0, false
	case n < least && least == 1:
		v.fail("%s must be > 0", v.key)
	case n < least:
		v.fail("%s must be >= %d", v.key, least)
	case n > most:
		v.fail("%d is too large: write %s", n, atMost(most))
	default:
		return n, true
	}
	return 0, false
}

// count takes a number that the original keeps in 32 bits or more. What does not
// fit into an int on every machine is as good as the largest that does.
func (v value) count(least int64) (int, bool) {
	n, ok := v.integer(least, math.MaxInt64)
	return int(min(n, math.MaxInt32)), ok
}

// maxMillis is the longest time that a file may give. Sums of a few of these fit
// into everything that computes with them, 32 bits of milliseconds included.
const maxMillis = 24 * 24 * 60 * 60 * 1000

// atMost is a limit in words.
func atMost(most int64) string {
	if most == maxMillis {
		return fmt.Sprintf("at most 24 days: %d", most)
	}
	return fmt.Sprintf("at most %d", most)
}

// millis takes a length of time in milliseconds.
func (v value) millis(least int64) (time.Duration, bool) {
	n, ok := v.integer(least, maxMillis)
	return time.Duration(n) * time.Millisecond, ok
}

// size takes a number of bytes, or "64K", "512M", "4G".
func (v value) size(least int64) (int64, bool) {
	s, ok := v.entry.value.(string)
	if !ok {
		return v.integer(least, math.MaxInt64)
	}
	n, ok := sizeOf(s)
	if !ok {
		v.fail("%s is not a size: write bytes (65536) or \"64K\", \"512M\", \"4G\"", quoted(s))
		return 0, false
	}
	v.entry.value = n
	return v.integer(least, math.MaxInt64)
}

// sizeOf reads "65536", "64K", "512M" or "4G".
func sizeOf(text string) (int64, bool) {
	text = strings.TrimSpace(text)
	digits := strings.TrimRight(text, "KMG")
	shift, known := map[string]int{"": 0, "K": 10, "M": 20, "G": 30}[text[len(digits):]]
	n, err := strconv.ParseUint(digits, 10, 63)
	return int64(n) << shift, err == nil && known && int64(n) <= math.MaxInt64>>shift
}

// oneOf takes one of the words of the key and returns its index.
func (v value) oneOf() (int, bool) {
	s, ok := v.text()
	if !ok {
		return 0, false
	}
	if i := v.row.wordIndex(s); i >= 0 {
		return i, true
	}
	hint := ""
	if near := Nearest(s, v.row.words); near != "" {
		hint = ": did you mean " + inQuotes(near) + "?"
	}
	v.fail("%s is none of %s%s", quoted(s), strings.Join(v.row.words, ", "), hint)
	return 0, false
}

// word is oneOf where what was refused is as good as the first word.
func (v value) word() int {
	i, _ := v.oneOf()
	return i
}

// wordIndex finds a word among those of the key, or is -1. A restart policy may be
// in any case and have an underscore in it: documents of the original write it so.
func (k *key) wordIndex(s string) int {
	if i := slices.Index(k.words, s); i >= 0 || k.name != "restart" {
		return i
	}
	return slices.Index(k.words, strings.ReplaceAll(strings.ToLower(s), "_", "-"))
}

// list takes a list; each of its elements is to be read as a value.
func (v value) list() []value {
	entries, ok := v.entry.value.([]tomlEntry)
	if !ok {
		example := inQuotes(plain(v.entry.value))
		if _, number := v.entry.value.(int64); number {
			example = plain(v.entry.value)
		}
		v.fail("must be a list, not %s: write %s = [%s]", describe(v.entry.value), v.short(), example)
		return nil
	}
	values := make([]value, len(entries))
	for i, e := range entries {
		values[i] = value{v.file, v.row, v.key, e}
	}
	return values
}

// texts takes a list of strings, none of them empty.
func (v value) texts() []value {
	var good []value
	for _, e := range v.list() {
		s, ok := e.entry.value.(string)
		switch {
		case !ok:
			e.fail("contains %s: write it in quotes: %s", describe(e.entry.value), inQuotes(plain(e.entry.value)))
		case s == "":
			e.fail("contains an empty text: remove it")
		default:
			good = append(good, e)
		}
	}
	return good
}

// plain is a value as a person would write it without quotes.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64, bool, float64, tooBig:
		return fmt.Sprint(v)
	}
	return "…"
}

// describe names a value for a message.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "the text " + quoted(v)
	case int64, float64, tooBig:
		return "the number " + plain(v)
	case bool:
		return "the bare word " + plain(v)
	case []tomlEntry:
		return "a list"
	case []*tomlTable:
		return "tables in double brackets"
	}
	return "a table"
}

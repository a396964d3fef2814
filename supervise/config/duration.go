package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// maxDuration is the longest time that a key without _ms may give: ten years.
const maxDuration = 3650 * 24 * time.Hour

// durationUnits are the units of durations, the longest first.
var durationUnits = [...]struct {
	name string
	unit time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond},
}

// parseDuration reads numbers with units, such as "500ms", "1m30s" or "2h".
func parseDuration(text string) (d time.Duration, ok bool) {
	rest := strings.TrimSpace(text)
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		rest = rest[digits:]
		letters := len(rest) - len(strings.TrimLeft(rest, "dhmsw"))
		unit := durationUnit(rest[:letters])
		rest = strings.TrimLeft(rest[letters:], " ")
		if err != nil || unit == 0 || n > int64((math.MaxInt64-d)/unit) {
			return 0, false
		}
		d += time.Duration(n) * unit
		ok = true
	}
	return d, ok
}

// durationUnit is the unit of that name, or 0.
func durationUnit(name string) time.Duration {
	for _, u := range durationUnits {
		if u.name == name {
			return u.unit
		}
	}
	return 0
}

// formatDuration writes whole milliseconds so that parseDuration reads the same.
func formatDuration(d time.Duration) string {
	var b strings.Builder
	for _, u := range durationUnits {
		if n := d / u.unit; n > 0 && u.name != "w" {
			b.WriteString(strconv.FormatInt(int64(n), 10) + u.name)
			d %= u.unit
		}
	}
	if b.Len() == 0 {
		return "0s"
	}
	return b.String()
}

// duration takes a length of time with its unit, longer than nothing.
func (v value) duration(most time.Duration) (time.Duration, bool) {
	text, ok := v.entry.value.(string)
	if !ok {
		meant := "10s"
		if n, ok := v.entry.value.(int64); ok && n > 0 {
			meant = plain(n) + "s"
		}
		v.fail("must be a duration in quotes, not %s: write %s = %s", describe(v.entry.value), v.short(), inQuotes(meant))
		return 0, false
	}
	d, ok := parseDuration(text)
	switch {
	case !ok:
		v.fail("%s is not a duration: write one such as \"500ms\", \"5s\", \"1m30s\" or \"2h\"", quoted(text))
	case d == 0:
		v.fail("%s must be > 0: remove it for none", v.key)
	case d > most:
		v.fail("%s is too long: write at most %s", quoted(text), inQuotes(formatDuration(most)))
	default:
		return d, true
	}
	return 0, false
}

// inDuration is what duration takes, nil for none.
func inDuration(d time.Duration) any {
	if d == 0 {
		return nil
	}
	return formatDuration(d)
}

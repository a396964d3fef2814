package config

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Calendar is moments that come again and again: those minutes of the clock on
// the wall whose parts match five fields, as cron has them. It is never changed.
//
// Where the clock is put forward or back:
//   - A calendar that comes in every hour of its days follows the clock: what is
//     skipped does not come, what the clock shows twice comes twice.
//   - With any other, each minute that matches comes once. What is skipped comes at
//     the moment when the clock is put forward, several as one; what the clock shows
//     twice comes the first time.
type Calendar struct {
	text                 string
	minutes, hours, days uint64 // a bit for each; of the month, from 1
	months, weekdays     uint64 // from 1; from 0, which is Sunday
	eitherDay            bool   // the day of the month or that of the week will do
}

// calendarWords are calendars that have a name.
var calendarWords = [...]struct{ word, fields string }{
	{"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
}

// calendarField is what one of the fields may hold.
type calendarField struct {
	name        string
	least, most int
	names       []string // of the numbers from least
}

var (
	monthNames   = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	weekdayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

	calendarFields = [...]calendarField{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of the month", 1, 31, nil},
		{"month", 1, 12, monthNames[:]}, {"day of the week", 0, 7, weekdayNames[:]},
	}
)

// maxCalendar is the longest text of a calendar, in bytes.
const maxCalendar = 1000

// ParseCalendar reads five fields with blanks between them: minute, hour, day of
// the month, month and day of the week (0 and 7 are Sunday; months and days may be
// written by the first three letters of their names). Each is *, or a list of
// numbers and ranges, each perhaps with a step: "0,30", "9-17", "*/5", "10-50/20".
// When both kinds of days are given, and neither begins with *, one of them will
// do. Or it is one of @hourly, @daily, @weekly, @monthly and @yearly. What never
// comes is an error. The error reads on from the name of what was parsed.
func ParseCalendar(text string) (*Calendar, error) {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxCalendar {
		return nil, fmt.Errorf("is longer than %d characters: shorten it", maxCalendar)
	}
	meant, err := calendarMeaning(text)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(meant)
	if len(fields) != len(calendarFields) {
		return nil, fmt.Errorf("%s has %d fields: write minute, hour, day of the month, month and day of the week, such as \"30 4 * * 1-5\", or @daily",
			quoted(text), len(fields))
	}
	c := &Calendar{text: text}
	for i, set := range []*uint64{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays} {
		if *set, err = calendarFields[i].parse(fields[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", quoted(text), err)
		}
	}
	c.weekdays |= c.weekdays >> 7 & 1 // 7 is Sunday too
	c.eitherDay = fields[2][0] != '*' && fields[4][0] != '*'
	// All days of the Gregorian calendar come within 400 years.
	anyDay := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, ok := c.match(anyDay, anyDay.AddDate(400, 0, 0)); !ok {
		return nil, fmt.Errorf("%s never comes: there is no such day", quoted(text))
	}
	return c, nil
}

// calendarMeaning is the fields that a word stands for; other texts mean themselves.
func calendarMeaning(text string) (string, error) {
	if !strings.HasPrefix(text, "@") {
		return text, nil
	}
	var words []string
	for _, w := range calendarWords {
		if strings.EqualFold(w.word, text) {
			return w.fields, nil
		}
		words = append(words, w.word)
	}
	if strings.EqualFold(text, "@reboot") {
		return "", errors.New("cannot be @reboot: write timer.on_boot, such as on_boot = \"1m\"")
	}
	hint := "write one of " + strings.Join(words, ", ")
	if near := Nearest(text, words); near != "" {
		hint = "did you mean " + near + "?"
	}
	return "", fmt.Errorf("%s is no word of a calendar: %s", quoted(text), hint)
}

// parse reads a field as a set of numbers.
func (f *calendarField) parse(text string) (set uint64, err error) {
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		every := 1
		if stepped {
			if every, err = strconv.Atoi(step); err != nil || every < 1 || every > f.most {
				return 0, f.wrong(part, fmt.Sprintf("the step goes from 1 to %d", f.most))
			}
		}
		from, to, isRange := strings.Cut(span, "-")
		low, lowKnown := f.number(from)
		high, highKnown := low, lowKnown
		switch {
		case span == "*":
			low, high, lowKnown, highKnown = f.least, f.most, true, true
			if f.names != nil {
				high = f.least + len(f.names) - 1
			}
		case isRange:
			if high, highKnown = f.number(to); f.most == 7 && high == 0 {
				high = 7 // until Sunday
			}
		case stepped:
			return 0, f.wrong(part, "a step needs * or a range in front of it")
		}
		if !lowKnown || !highKnown {
			return 0, f.wrong(part, fmt.Sprintf("numbers go from %d to %d", f.least, f.most))
		}
		if low > high {
			return 0, f.wrong(part, fmt.Sprintf("a range goes up: write %d-%d,%d-%d", low, f.most, f.least, high))
		}
		for n := low; n <= high; n += every {
			set |= 1 << n
		}
	}
	return set, nil
}

func (f *calendarField) wrong(part, why string) error {
	return fmt.Errorf("%s is no %s: %s", quoted(part), f.name, why)
}

func (f *calendarField) number(text string) (int, bool) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.least + i, true
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return int(n), err == nil && int(n) >= f.least && int(n) <= f.most
}

// String is the calendar as written.
func (c *Calendar) String() string { return c.text }

const everyHour = 1<<24 - 1

// Next is the first moment after the one given, in its location.
func (c *Calendar) Next(after time.Time) time.Time {
	at, loc := after, after.Location()
	shown := wall(after).Truncate(time.Minute).Add(time.Minute)
	for {
		start, end := at.ZoneBounds()
		if !end.IsZero() && !end.After(at) {
			end = at.Add(time.Hour) // the 366th day of a year lies beyond the bounds that it is told
		}
		if c.hours != everyHour && !start.IsZero() {
			shown = later(shown, ceilMinute(wallBefore(start))) // what is shown again does not count
		}
		stop := shown.AddDate(401, 0, 0)
		if !end.IsZero() {
			stop = wallBefore(end)
		}
		if next, ok := c.match(shown, stop); ok {
			_, offset := at.Zone()
			return next.Add(-time.Duration(offset) * time.Second).In(loc)
		}
		if end.IsZero() {
			return time.Time{} // no calendar is empty: see ParseCalendar
		}
		resumes := wall(end)
		if c.hours != everyHour {
			if _, skipped := c.match(stop, resumes); skipped {
				return end
			}
		}
		at, shown = end, ceilMinute(resumes)
	}
}

// wall is what the clock on the wall shows, as if it were that of UTC.
func wall(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// wallBefore is what the clock would show at the end of a period if it had not been
// put forward or back.
func wallBefore(end time.Time) time.Time {
	_, offset := end.Add(-1).Zone()
	return end.UTC().Add(time.Duration(offset) * time.Second)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func ceilMinute(t time.Time) time.Time {
	if whole := t.Truncate(time.Minute); whole.Before(t) {
		return whole.Add(time.Minute)
	}
	return t
}

// match is the first minute from the given one on, and before end, whose parts
// match. All of them are in UTC.
func (c *Calendar) match(from, end time.Time) (time.Time, bool) {
	for t := ceilMinute(from); t.Before(end); {
		year, month, day := t.Date()
		hour, minute, _ := t.Clock()
		nextHour := nextBit(c.hours, hour)
		if nextHour > hour {
			minute = 0
		}
		nextMinute := nextBit(c.minutes, minute)
		switch {
		case c.months&(1<<month) == 0:
			t = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.matchesDay(t), nextHour > 23:
			t = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
		case nextMinute > 59:
			t = time.Date(year, month, day, hour+1, 0, 0, 0, time.UTC)
		default:
			t = time.Date(year, month, day, nextHour, nextMinute, 0, 0, time.UTC)
			return t, t.Before(end)
		}
	}
	return time.Time{}, false
}

func (c *Calendar) matchesDay(t time.Time) bool {
	ofMonth, ofWeek := c.days&(1<<t.Day()) != 0, c.weekdays&(1<<t.Weekday()) != 0
	if c.eitherDay {
		return ofMonth || ofWeek
	}
	return ofMonth && ofWeek
}

// nextBit is the first bit from the given one on; 64 or more when there is none.
func nextBit(set uint64, from int) int { return from + bits.TrailingZeros64(set>>from) }

// GobEncode is for the cache.
func (c *Calendar) GobEncode() ([]byte, error) { return []byte(c.text), nil }

// GobDecode is for the cache.
func (c *Calendar) GobDecode(text []byte) error {
	parsed, err := ParseCalendar(string(text))
	if err != nil {
		return fmt.Errorf("cannot decode a calendar: %w", err)
	}
	*c = *parsed
	return nil
}

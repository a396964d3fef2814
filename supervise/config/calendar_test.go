package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests must not depend on the machine's
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

const (
	stamp       = "2006-01-02 15:04:05"
	stampOffset = "2006-01-02 15:04 -0700"
)

func TestCalendarsComeNext(t *testing.T) {
	for _, c := range []struct{ text, after, want string }{
		{"* * * * *", "2026-03-01 12:00:00", "2026-03-01 12:01:00"},
		{"* * * * *", "2026-03-01 12:00:59", "2026-03-01 12:01:00"},
		{"@hourly", "2026-12-31 23:00:00", "2027-01-01 00:00:00"},
		{"@daily", "2026-03-01 00:00:00", "2026-03-02 00:00:00"},
		{"@midnight", "2026-02-28 23:59:59", "2026-03-01 00:00:00"},
		{"@WEEKLY", "2026-03-01 00:00:00", "2026-03-08 00:00:00"}, // a Sunday
		{"@monthly", "2026-01-31 10:00:00", "2026-02-01 00:00:00"},
		{"@yearly", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
		{"@annually", "2025-12-31 23:59:00", "2026-01-01 00:00:00"},
		{"30 4 * * *", "2026-03-01 04:29:59", "2026-03-01 04:30:00"},
		{"30 4 * * *", "2026-03-01 04:30:00", "2026-03-02 04:30:00"},
		{"*/15 9-17 * * 1-5", "2026-03-06 17:45:00", "2026-03-09 09:00:00"},
		{"*/15 9-17 * * Mon-Fri", "2026-03-06 17:44:00", "2026-03-06 17:45:00"},
		{"10-50/20 * * * *", "2026-03-06 17:11:00", "2026-03-06 17:30:00"},
		{"0,30 0,12 * * *", "2026-03-06 00:30:00", "2026-03-06 12:00:00"},
		{"59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"},
		{"0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00:00"},
		{"0 0 29 feb *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
		{"0 0 31 * *", "2026-04-01 00:00:00", "2026-05-31 00:00:00"},
		{"0 0 13 * 5", "2026-03-01 00:00:00", "2026-03-06 00:00:00"}, // the 13th or a Friday
		{"0 0 13 * 5", "2026-03-06 00:00:00", "2026-03-13 00:00:00"},
		{"0 0 * * 0", "2026-03-02 00:00:00", "2026-03-08 00:00:00"},
		{"0 0 * * 7", "2026-03-02 00:00:00", "2026-03-08 00:00:00"},
		{"0 0 * * sat-sun", "2026-03-02 00:00:00", "2026-03-07 00:00:00"},
		{"0 0 */2 * 1", "2026-03-01 00:00:00", "2026-03-09 00:00:00"}, // an odd day that is a Monday
		{"0 0 1-7 * */7", "2026-03-02 00:00:00", "2026-04-05 00:00:00"},
		{"0 0 1 jan,JUL *", "2026-01-01 00:00:00", "2026-07-01 00:00:00"},
		{"0 0 29 2 */6", "2026-01-01 00:00:00", "2032-02-29 00:00:00"}, // a leap day at a weekend
	} {
		after, err := time.Parse(stamp, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := calendar(t, c.text).Next(after); got.Format(stamp) != c.want {
			t.Errorf("%s after %s: %s, want %s", c.text, c.after, got.Format(stamp), c.want)
		}
	}
}

func TestCalendarsWhereTheClockIsPutForwardOrBack(t *testing.T) {
	for _, c := range []struct{ zone, text, after, want string }{
		// Put forward from 2:00 to 3:00 on 2026-03-29.
		{"Europe/Berlin", "30 2 * * *", "2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"},
		{"Europe/Berlin", "10,20,30 2 * * *", "2026-03-29 01:59 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "10,20,30 2 * * *", "2026-03-29 03:00 +0200", "2026-03-30 02:10 +0200"},
		{"Europe/Berlin", "0 2,3 * * *", "2026-03-29 01:00 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "0 2,3 * * *", "2026-03-29 03:00 +0200", "2026-03-30 02:00 +0200"},
		{"Europe/Berlin", "0 3 * * *", "2026-03-29 01:59 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "30 * * * *", "2026-03-29 01:30 +0100", "2026-03-29 03:30 +0200"},
		{"Europe/Berlin", "*/20 * * * *", "2026-03-29 01:40 +0100", "2026-03-29 03:00 +0200"},
		{"Europe/Berlin", "30 2 * * mon", "2026-03-29 01:00 +0100", "2026-03-30 02:30 +0200"},
		// Put back from 3:00 to 2:00 on 2026-10-25.
		{"Europe/Berlin", "30 2 * * *", "2026-10-24 02:30 +0200", "2026-10-25 02:30 +0200"},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"},
		{"Europe/Berlin", "30 2 * * *", "2026-10-25 02:10 +0100", "2026-10-26 02:30 +0100"},
		{"Europe/Berlin", "0 2,3 * * *", "2026-10-25 02:00 +0200", "2026-10-25 03:00 +0100"},
		{"Europe/Berlin", "30 * * * *", "2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100"},
		{"Europe/Berlin", "30 * * * *", "2026-10-25 02:30 +0100", "2026-10-25 03:30 +0100"},
		// By half an hour.
		{"Australia/Lord_Howe", "15 2 * * *", "2026-10-04 01:00 +1030", "2026-10-04 02:30 +1100"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"},
		// Midnight is skipped, and a whole day.
		{"America/Santiago", "0 0 * * *", "2026-09-05 00:00 -0400", "2026-09-06 01:00 -0300"},
		{"Pacific/Apia", "0 12 30 12 *", "2011-12-29 12:00 -1000", "2011-12-31 00:00 +1400"},
		{"Pacific/Apia", "0 0 * * *", "2011-12-29 00:00 -1000", "2011-12-31 00:00 +1400"},
		{"Pacific/Apia", "0 0 * * *", "2011-12-31 00:00 +1400", "2012-01-01 00:00 +1400"},
		// The last day of a leap year, also one that no table of the zone reaches.
		{"Europe/Berlin", "30 4 1 1 *", "2028-12-31 12:00 +0100", "2029-01-01 04:30 +0100"},
		{"Europe/Berlin", "30 4 * * *", "2236-12-30 12:00 +0100", "2236-12-31 04:30 +0100"},
		{"Europe/Berlin", "30 4 1 5 *", "2236-12-31 12:00 +0100", "2237-05-01 04:30 +0200"},
		{"America/Santiago", "30 4 1 5 *", "2236-12-31 12:00 -0300", "2237-05-01 04:30 -0400"},
		{"America/New_York", "30 * 1 5 *", "2236-12-30 12:00 -0500", "2237-05-01 00:30 -0400"},
		{"Asia/Kolkata", "30 4 * * *", "2026-03-01 04:30 +0530", "2026-03-02 04:30 +0530"},
	} {
		loc := zone(t, c.zone)
		after, err := time.ParseInLocation(stampOffset, c.after, loc)
		if err != nil {
			t.Fatal(err)
		}
		after = after.In(loc)
		got := calendar(t, c.text).Next(after)
		if got.Format(stampOffset) != c.want || got.Location() != loc {
			t.Errorf("%s: %s after %s: %s, want %s", c.zone, c.text, c.after, got.Format(stampOffset), c.want)
		}
	}
}

// comes tells by the rules, minute by minute, whether a calendar comes at t: the
// fields are looked at one by one.
func comes(fields []string, t time.Time) bool {
	matches := func(clock time.Time) bool {
		parts := []int{clock.Minute(), clock.Hour(), clock.Day(), int(clock.Month()), int(clock.Weekday())}
		var is [5]bool
		for i, f := range calendarFields {
			set, err := f.parse(fields[i])
			is[i] = err == nil && (set&(1<<parts[i]) != 0 || i == 4 && parts[i] == 0 && set&(1<<7) != 0)
		}
		day := is[2] && is[4]
		if fields[2][0] != '*' && fields[4][0] != '*' {
			day = is[2] || is[4]
		}
		return is[0] && is[1] && is[3] && day
	}
	hours, _ := calendarFields[1].parse(fields[1])
	clock, before := wall(t), wall(t.Add(-time.Minute))
	if hours == everyHour {
		return matches(clock)
	}
	if matches(clock) {
		// Whether the clock has shown this before: it is never put back by more than this.
		for ago := time.Minute; ago <= 26*time.Hour; ago += time.Minute {
			if wall(t.Add(-ago)).Equal(clock) {
				return false
			}
		}
		return true
	}
	for skipped := before.Add(time.Minute); skipped.Before(clock); skipped = skipped.Add(time.Minute) {
		if matches(skipped) {
			return true
		}
	}
	return false
}

func randomField(rng *rand.Rand, f calendarField) string {
	number := func() int { return f.least + rng.IntN(min(f.most, 30)-f.least+1) }
	switch rng.IntN(6) {
	case 0, 1:
		return "*"
	case 2:
		return fmt.Sprintf("*/%d", 1+rng.IntN(f.most))
	case 3:
		a, b := number(), number()
		return fmt.Sprintf("%d-%d", min(a, b), max(a, b))
	case 4:
		return fmt.Sprintf("%d,%d", number(), number())
	}
	return fmt.Sprint(number())
}

func TestNextIsTheFirstMomentThatMatches(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	begins := map[string][]string{
		"UTC":                 {"2026-02-27 00:00 +0000"},
		"Europe/Berlin":       {"2026-03-28 20:00 +0100", "2026-10-24 20:00 +0200"},
		"America/New_York":    {"2026-03-07 20:00 -0500", "2026-10-31 20:00 -0400"},
		"Australia/Lord_Howe": {"2026-10-03 20:00 +1030", "2026-04-04 20:00 +1100"},
		"America/Santiago":    {"2026-09-05 20:00 -0400", "2026-04-04 20:00 -0300"},
		"Pacific/Apia":        {"2011-12-29 12:00 -1000"},
		"Asia/Jerusalem":      {"2236-12-30 12:00 +0200", "2028-12-30 12:00 +0200"},
	}
	most := 36 * time.Hour
	for name, starts := range begins {
		loc := zone(t, name)
		for range 40 {
			var fields []string
			for i, f := range calendarFields {
				if i == 2 || i == 3 { // most calendars are to come soon
					fields = append(fields, "*")
					continue
				}
				fields = append(fields, randomField(rng, f))
			}
			if rng.IntN(4) == 0 {
				fields[2] = fmt.Sprintf("%d-%d", 1+rng.IntN(8), 9+rng.IntN(23))
			}
			text := strings.Join(fields, " ")
			c, err := ParseCalendar(text)
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			begin, err := time.ParseInLocation(stampOffset, starts[rng.IntN(len(starts))], loc)
			if err != nil {
				t.Fatal(err)
			}
			after := begin.In(loc).Add(time.Duration(rng.IntN(600)) * time.Minute).Add(time.Duration(rng.IntN(60)) * time.Second)
			next := c.Next(after)
			if !next.After(after) {
				t.Fatalf("%s: %s after %s: %s", name, text, after, next)
			}
			for at := after.Truncate(time.Minute).Add(time.Minute); at.Before(next) && at.Sub(after) < most; at = at.Add(time.Minute) {
				if comes(fields, at) {
					t.Fatalf("%s: %s after %s: %s, but it comes at %s", name, text, after, next, at)
				}
			}
			if !comes(fields, next) {
				t.Fatalf("%s: %s after %s: %s, but it does not come then", name, text, after, next)
			}
		}
	}
}

func TestWhatIsNoCalendarIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "has 0 fields",
		"* * * *":                               "has 4 fields: write minute, hour",
		"* * * * * *":                           "has 6 fields",
		"@dayly":                                "did you mean @daily?",
		"@never":                                "write one of @hourly, @daily",
		"@reboot":                               "write timer.on_boot",
		"60 * * * *":                            "'60' is no minute: numbers go from 0 to 59",
		"* 24 * * *":                            "'24' is no hour: numbers go from 0 to 23",
		"* * 0 * *":                             "'0' is no day of the month: numbers go from 1 to 31",
		"* * * 13 *":                            "'13' is no month: numbers go from 1 to 12",
		"* * * * 8":                             "'8' is no day of the week: numbers go from 0 to 7",
		"* * * * monday":                        "'monday' is no day of the week",
		"-1 * * * *":                            "'-1' is no minute",
		"1- * * * *":                            "'1-' is no minute",
		"1,,2 * * * *":                          "'' is no minute",
		"*/0 * * * *":                           "the step goes from 1 to 59",
		"*/x * * * *":                           "the step goes from 1 to 59",
		"5/10 * * * *":                          "a step needs * or a range in front of it",
		"* 22-2 * * *":                          "a range goes up: write 22-23,0-2",
		"* * * * fri-mon":                       "a range goes up: write 5-7,0-1",
		"** * * * *":                            "'**' is no minute",
		"0 0 31 feb *":                          "never comes",
		"0 0 31 4,6,9,11 *":                     "never comes",
		"0 0 L * *":                             "'L' is no day of the month",
		"1-2-3 * * * *":                         "'1-2-3' is no minute",
		strings.Repeat("0,", 600) + "0 * * * *": "longer than 1000",
	} {
		if c, err := ParseCalendar(text); c != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %v %v, want %s", text, c, err, want)
		}
	}
}

func FuzzParseCalendar(f *testing.F) {
	for _, text := range []string{"* * * * *", "@daily", "*/10 8-18 * * mon-fri", "0 0 29 2 */6", "0,30 1-5/2 13 jan,feb 5,7", "5/10 * * * *"} {
		f.Add(text, int64(1774746000))
	}
	loc := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, from int64) {
		c, err := ParseCalendar(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\x00\x1b\n") {
				t.Fatalf("unprintable: %q", err)
			}
			return
		}
		again, err := ParseCalendar(c.String())
		if err != nil || *again != *c {
			t.Fatalf("%q reads as %+v, then as %+v (%v)", text, c, again, err)
		}
		after := time.Unix(from%(1<<33), 0).In(loc)
		next := c.Next(after)
		if !next.After(after) || next.Sub(after) > 42*366*24*time.Hour {
			t.Fatalf("%q after %v: %v", text, after, next)
		}
		if skippedTo := next.Equal(c.Next(next.Add(-1))); !skippedTo {
			t.Fatalf("%q: %v does not come again from a moment before", text, next)
		}
	})
}

func BenchmarkCalendarNext(b *testing.B) {
	loc := zone(b, "Europe/Berlin")
	for _, text := range []string{"*/10 8-18 * * mon-fri", "0 0 29 2 */6"} {
		b.Run(text, func(b *testing.B) {
			c := calendar(b, text)
			at := time.Date(2026, 3, 1, 0, 0, 0, 0, loc)
			for b.Loop() {
				c.Next(at)
			}
		})
	}
}

package config

import "time"

// A Calendar is the `on_calendar` key: moments that come again and again.
type Calendar struct{ text string }

// String is the calendar as written.
func (c *Calendar) String() string { return c.text }

// Next is the first moment after the one given, in its location; the zero Time
// when there is none.
func (c *Calendar) Next(after time.Time) time.Time { return time.Time{} }

// GobEncode is for the cache.
func (c *Calendar) GobEncode() ([]byte, error) { return []byte(c.text), nil }

// GobDecode is for the cache.
func (c *Calendar) GobDecode(text []byte) error {
	c.text = string(text)
	return nil
}

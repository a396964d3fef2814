package config

import "time"

// Timer is the [timer] table: when a service is started by itself. At least one of
// Every, OnBoot and Calendar is given.
type Timer struct {
	Every, OnBoot time.Duration // 0: not given
	Jitter        time.Duration // each start is late by a random part of this
	Calendar      *Calendar     // nil: not given
	Persistent    bool          // a start that fell into a time when nobody was there is made up for
}

// setCalendar takes timer.on_calendar.
func setCalendar(s *Service, v value) {
	text, ok := v.text()
	if !ok {
		return
	}
	c, err := ParseCalendar(text)
	if err != nil {
		v.fail("%v", err)
		return
	}
	s.Timer.Calendar = c
}

func getCalendar(s *Service) any {
	if s.Timer.Calendar == nil {
		return nil
	}
	return s.Timer.Calendar.String()
}

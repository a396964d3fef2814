package config

import "time"

// Timer is the [timer] table: when a service is started by itself.
type Timer struct {
	Every, OnBoot time.Duration // 0: not given
	Jitter        time.Duration // each start is late by a random part of this
	Calendar      *Calendar     // nil: not given
	Persistent    bool          // a start that fell into a time when nobody was there is made up for
}

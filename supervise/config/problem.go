package config

import (
	"strconv"
	"strings"
)

// Severity tells a Problem that keeps a service from running from one that does
// not.
type Severity uint8

const (
	Error   Severity = iota // the service is not loaded
	Warning                 // it is loaded all the same
)

// A Problem is something wrong in a file, put so that the person who wrote the
// file can mend it.
type Problem struct {
	File     string
	Line     int    // from 1; 0 when it concerns the file as a whole
	Key      string // "lifecycle.restart"; empty when it concerns no key
	Service  string // the name concerned: from the file's text if readable, else from the file's name
	Severity Severity
	Message  string // says what is wrong and what to do
}

// String is the line that people read: "FILE:LINE: KEY: MESSAGE". A message that
// begins with its key is not given it twice.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if s != "" {
		s += ": "
	}
	if p.Key != "" && !strings.HasPrefix(p.Message, p.Key+" ") {
		s += p.Key + ": "
	}
	if p.Severity == Warning {
		s += "warning: "
	}
	return printable(s+p.Message, 5000)
}

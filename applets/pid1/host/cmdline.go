package host

import (
	"os"
	"strings"
)

// A Cmdline is what the words of the kernel's command line ask of process 1.
type Cmdline struct {
	// LogLevel is that of zinit.log=, or debug with zinit.debug or zinitdebug=1;
	// empty: not said.
	LogLevel string
	// Single: services of class system only. Emergency: none, a shell instead.
	Single, Emergency bool
	// Quiet: nothing on the console but what went wrong.
	Quiet bool
	// Hostname is that of hostname= or systemd.hostname=; empty: not said.
	Hostname string
	// Wrong is the last word that is meant for us and means nothing: zinit.log= with
	// another level, or an unknown word that begins with zinit. The kernel does not hand
	// such words on.
	Wrong string
}

// ReadCmdline reads /proc/cmdline; nothing is asked where there is none.
func ReadCmdline() Cmdline {
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return Cmdline{}
	}
	return ParseCmdline(string(text))
}

// ParseCmdline picks out the words that we know. Quotes keep spaces together, as in
// the kernel; the last of contradicting words counts.
func ParseCmdline(text string) (c Cmdline) {
	for _, word := range words(text) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "zinit.debug":
			c.LogLevel = "debug"
		case "zinitdebug":
			if value == "1" {
				c.LogLevel = "debug"
			}
		case "zinit.log":
			switch value {
			case "trace", "debug", "info", "warn", "error":
				c.LogLevel = value
			default:
				c.Wrong = word
			}
		case "single", "s", "S":
			c.Single = true
		case "emergency":
			c.Emergency = true
		case "quiet":
			c.Quiet = true
		case "hostname", "systemd.hostname":
			c.Hostname = value
		default:
			if strings.HasPrefix(word, "zinit.") {
				c.Wrong = word
			}
		}
	}
	return c
}

// Knows reports that a word of the kernel's command line, which the kernel may hand on
// to process 1 as an argument, means something to ParseCmdline.
func Knows(word string) bool { return ParseCmdline(word) != Cmdline{} }

// words splits at spaces outside of double quotes and takes the quotes away.
func words(text string) (list []string) {
	var word strings.Builder
	quoted := false
	flush := func() {
		if word.Len() > 0 {
			list = append(list, word.String())
			word.Reset()
		}
	}
	for _, b := range []byte(text) {
		switch {
		case b == '"':
			quoted = !quoted
		case !quoted && (b == ' ' || b == '\t' || b == '\n'):
			flush()
		default:
			word.WriteByte(b)
		}
	}
	flush()
	return list
}

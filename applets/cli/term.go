package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"zinit/sock"
)

// isTerminal says whether people look at w. Other character devices count too:
// colour in /dev/null harms nobody.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// columns is how wide the terminal w is, 0 when that is not known.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	var size struct{ rows, columns, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0
	}
	return int(size.columns)
}

// hang breaks a text that begins in column at between words, so that it goes on
// below its beginning. Where that would leave little room, it goes on further to
// the left; where the width is not known, it stays as it is.
func (s *session) hang(at int, text string) string {
	if s.width == 0 || at+utf8.RuneCountInString(text) <= s.width {
		return text
	}
	indent := min(at, s.width*2/3)
	var b strings.Builder
	for word := range strings.SplitSeq(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case b.Len() == 0:
		case at+1+n > s.width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// briefLines is how many lines of a list one service may take: zinit status tells the
// rest.
const briefLines = 2

// leastRoom is how many columns a reason needs behind the state: with fewer it begins
// on a line of its own.
const leastRoom = 30

// brief is hang for a text that is cut short where it would take many lines; what
// follows after a semicolon is not.
func (s *session) brief(at int, text, end string) string {
	most, lead := briefLines, ""
	if all := at + utf8.RuneCountInString(joined(text, end)); s.width > 0 && all > s.width && s.width-at < leastRoom {
		most, lead, at = briefLines-1, "\n    ", 4
	}
	whole := s.hang(at, joined(text, end))
	for strings.Count(whole, "\n") >= most && strings.Contains(text, " ") {
		text = text[:strings.LastIndexByte(text, ' ')]
		whole = s.hang(at, joined(strings.TrimRight(text, " :;,")+"…", end))
	}
	return lead + whole
}

// cut shortens a text that begins in column at to one line.
func (s *session) cut(at int, text string) string {
	room := s.width - at
	if s.width == 0 || utf8.RuneCountInString(text) <= room {
		return text
	}
	return string([]rune(text)[:max(room-1, 1)]) + "…"
}

// wantsColour decides about colour: the flag, then NO_COLOR, then the terminal.
func wantsColour(when string, terminal bool, getenv func(string) string) bool {
	switch when {
	case "always":
		return true
	case "never":
		return false
	}
	return terminal && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// look is how a state is shown.
func look(state string) (glyph, word, colour string) {
	switch state {
	case sock.Inactive:
		return "○", "Inactive", "90"
	case sock.Blocked:
		return "○", "Blocked", "33"
	case sock.Starting:
		return "◐", "Starting", "33"
	case sock.Running:
		return "●", "Running", "32"
	case sock.Stopping:
		return "◑", "Stopping", "35"
	case sock.Exited:
		return "◌", "Exited", "36"
	case sock.Failed:
		return "✗", "Failed", "31"
	case "":
		return "?", "unknown", "90"
	}
	return "?", strings.ToUpper(state[:1]) + state[1:], "90"
}

// paint colours text when colour is wanted.
func (s *session) paint(colour, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// escape makes text harmless to a terminal: what is not printable, and bytes that
// are not UTF-8, appear as \xNN or \uNNNN. Tabs stay.
func escape(text string) string {
	clean := true
	for i := 0; i < len(text) && clean; i++ {
		clean = text[i] >= 0x20 && text[i] < 0x7f || text[i] == '\t'
	}
	if clean {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20 && r != '\t', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\t', unicode.IsPrint(r):
			b.WriteString(text[i : i+n])
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// escapeLines is escape for text of several lines.
func escapeLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = escape(line)
	}
	return strings.Join(lines, "\n")
}

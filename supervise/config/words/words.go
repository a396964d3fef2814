package words

import (
	"errors"
	"strings"
)

// ErrOpen is what Split says of a quote that is never closed, and of a backslash at
// the end.
var ErrOpen = errors.New("a quote is never closed, or a backslash stands at the end")

// Split returns the words of a line. Blanks, tabs and line breaks are between them;
// # at the beginning of a word makes a comment of the rest of the line. In double
// quotes a backslash stands for the $, `, ", \ or line break behind it, elsewhere for
// any character. A line of blanks has no words, and that is no error.
func Split(line string) ([]string, error) {
	s := splitter{rest: line}
	var list []string
	for s.toWord() {
		word, err := s.word()
		if err != nil {
			return nil, err
		}
		list = append(list, word)
	}
	return list, nil
}

type splitter struct{ rest string }

// toWord moves to the beginning of the next word; false: there is none.
func (s *splitter) toWord() bool {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\n")
		if !strings.HasPrefix(s.rest, "#") {
			return s.rest != ""
		}
		_, s.rest, _ = strings.Cut(s.rest, "\n")
	}
}

func (s *splitter) word() (string, error) {
	var b strings.Builder
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch c {
		case ' ', '\t', '\n':
			return b.String(), nil
		case '\'':
			text, rest, closed := strings.Cut(s.rest, "'")
			if !closed {
				return "", ErrOpen
			}
			b.WriteString(text)
			s.rest = rest
		case '"':
			if err := s.double(&b); err != nil {
				return "", err
			}
		case '\\':
			if s.rest == "" {
				return "", ErrOpen
			}
			s.escaped(&b)
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

// double takes what follows a double quote, and its end.
func (s *splitter) double(b *strings.Builder) error {
	for s.rest != "" {
		c := s.rest[0]
		s.rest = s.rest[1:]
		switch {
		case c == '"':
			return nil
		case c == '\\' && s.rest != "" && strings.IndexByte("$`\"\\\n", s.rest[0]) >= 0:
			s.escaped(b)
		default:
			b.WriteByte(c)
		}
	}
	return ErrOpen
}

// escaped takes the character behind a backslash; a line break is none.
func (s *splitter) escaped(b *strings.Builder) {
	if s.rest[0] != '\n' {
		b.WriteByte(s.rest[0])
	}
	s.rest = s.rest[1:]
}

// plain are the characters that stand for themselves, to us and to every shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-"

// Join is a line that Split, and a shell, split into these words again.
func Join(list []string) string {
	quoted := make([]string, len(list))
	for i, word := range list {
		quoted[i] = Quote(word)
	}
	return strings.Join(quoted, " ")
}

// Quote is one word as it must stand in a line. A name with an = behind it is quoted,
// too: it would be an assignment to a shell.
func Quote(word string) string {
	name, _, assigns := strings.Cut(word, "=")
	if word != "" && strings.Trim(word, plain) == "" && !(assigns && strings.IndexByte("-./", (name + "A")[0]) < 0) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

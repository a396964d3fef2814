package words

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		line string
		want string // joined by |
	}{
		{"", ""},
		{" \t\n ", ""},
		{"redis-server --port 7", "redis-server|--port|7"},
		{"sh -c 'zinit log > /dev/tty2'", "sh|-c|zinit log > /dev/tty2"},
		{`a "b c" d\ e`, "a|b c|d e"},
		{`a "b\"c\$d\n" ''`, `a|b"c$d\n|`},
		{"a # b c", "a"},
		{"# a", ""},
		{"a b#c", "a|b#c"},
		{"# a\nb", "b"},
		{"a \\\n b", "a||b"},
		{"a\\\nb", "ab"},
		{"\"a\\\nb\"", "ab"},
		{"$HOME * > &&", "$HOME|*|>|&&"},
		{"é 'ü'", "é|ü"},
	} {
		got, err := Split(c.line)
		if err != nil || strings.Join(got, "|") != c.want {
			t.Errorf("%q: %q %v, want %s", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{"'", `"`, `a 'b`, `a "b\"`, `a \`} {
		if got, err := Split(line); !errors.Is(err, ErrOpen) {
			t.Errorf("%q: %q %v", line, got, err)
		}
	}
}

func TestQuoteSaysAsLittleAsPossible(t *testing.T) {
	got := Join([]string{"/bin/a", "--b=c", "A=1", "d e", "", "it's", "$x", "ü"})
	if want := `/bin/a --b=c 'A=1' 'd e' '' 'it'\''s' '$x' 'ü'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzSplit(f *testing.F) {
	for _, line := range []string{"a b", `"a'" '"'`, "a\\", "#", "a # b", "\\\n"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		list, err := Split(line)
		if err != nil {
			return
		}
		again, err := Split(Join(list))
		if err != nil || !slices.Equal(again, list) {
			t.Fatalf("%q gives %q, and joined %q gives %q %v", line, list, Join(list), again, err)
		}
	})
}

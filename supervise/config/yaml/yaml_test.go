package yaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show is a value in one line, with its lines.
func show(v Value) string {
	var parts []string
	switch v.Kind {
	case List:
		for _, i := range v.Items {
			parts = append(parts, show(i))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case Map:
		for _, p := range v.Pairs {
			parts = append(parts, fmt.Sprintf("%d %s=%s", p.Line, p.Key, show(p.Value)))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprintf("%s%q", [...]string{"null", "bool", "other", ""}[v.Kind], v.Text)
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", `null""`},
		{"an empty document", "---\n", `null""`},
		{"an empty map", "{}\n", `{}`},
		{"only comments", "# a\n# b\n", `null""`},
		{"plain scalars", "exec: contd --broker unix:///var/run/redis.sock --root /var/x\n", `{1 exec="contd --broker unix:///var/run/redis.sock --root /var/x"}`},
		{"a list, indented by two, one and none", "a:\n  - x\nb:\n - x\nc:\n- x\n- y\n", `{1 a=["x"] 3 b=["x"] 5 c=["x" "y"]}`},
		{"quotes", "a: \"true\"\nb: 'a''b\"c: d'\nc: \"tab\\there\"\n", `{1 a="true" 2 b="a'b\"c: d" 3 c="tab\there"}`},
		{"single quotes inside", "exec: sh -c 'zinit log > /dev/tty2'\n", `{1 exec="sh -c 'zinit log > /dev/tty2'"}`},
		{"a literal block", "exec: |\n  sh -c '\n    a\n\n  b'\nlog: ring\n", `{1 exec="sh -c '\n  a\n\nb'\n" 6 log="ring"}`},
		{"a block without its end", "exec: |-\n  a\n  b\n", `{1 exec="a\nb"}`},
		{"a folded line", "exec: ip netns exec public\n  --target http://10.0.0.1:8080/some\nenv:\n  \"N\": \"5\"\n",
			`{1 exec="ip netns exec public --target http://10.0.0.1:8080/some" 3 env={4 N="5"}}`},
		{"comments between items and behind values", "# top\nafter:\n  - a # one\n  # two\n  - b\nlog: stdout # to see\n", `{2 after=["a" "b"] 6 log="stdout"}`},
		{"words of YAML 1.1", "a: yes\nb: true\nc: ~\nd: 5\ne: 1.5\nf: no\n", `{1 a="yes" 2 b=bool"true" 3 c=null"~" 4 d=other"5" 5 e=other"1.5" 6 f="no"}`},
		{"flow forms", "after: []\nenv: {A: 1}\n", `{1 after=[] 2 env={2 A=other"1"}}`},
		{"no newline at the end", "exec: a", `{1 exec="a"}`},
		{"trailing blanks", "exec: a   \n#  \n", `{1 exec="a"}`},
		{"a byte order mark", "\ufeffexec: a\n", `{1 exec="a"}`},
	} {
		if v, err := Parse([]byte(c.text)); err != nil || show(v) != c.want {
			t.Errorf("%s: %s %v\n want %s", c.name, show(v), err, c.want)
		}
	}
}

func TestWhatIsRefusedHasALine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an anchor", "a: 1\nb: &x 2\n", "line 2: anchors and aliases"},
		{"an alias", "a: &x 2\nb: *x\n", "line 1: anchors and aliases"},
		{"a tag", "a: !!str 2\n", "line 1: the tag !!str"},
		{"a merge key", "a: 1\n<<: {b: 1}\n", "line 2: the key <<"},
		{"two documents", "a: 1\n---\nb: 2\n", "line 2: a second document"},
		{"a key twice", "a: 1\nb: 2\na: 3\n", "line 3: a stands in line 1 already"},
		{"a key that is a list", "a: 1\n? [x]\n: 1\n", "line 2: a key must be a word"},
		{"a tab", "a:\n\tb: 1\n", "line 2: found character that cannot start any token"},
		{"an open quote", "a: 1\nb: \"x\n", "line 2: found unexpected end of stream"},
		{"two colons", "a: b: c\n", "line 1: mapping values are not allowed"},
		{"deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), "line 1: is nested"},
		{"an alias of nothing", "a: 1\nc: *b\n", "line 2: anchors and aliases"},
		{"bytes", "a: 1\nb: \xff\n", "line 2: is not valid UTF-8"},
	} {
		_, err := Parse([]byte(c.text))
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"exec: a\nafter:\n- b\n", "a: |\n  b\n", "{a: [b, 'c']}", "? a\n: b", "--- \n...", "a: &b c"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse(text)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%v is no *Error", err)
		}
		if err == nil && (v.Kind > Map || v.Kind < List && len(v.Items)+len(v.Pairs) > 0) {
			t.Fatalf("%+v", v)
		}
	})
}

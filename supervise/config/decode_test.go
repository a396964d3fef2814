package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// lexed is what the guard makes of texts; those that it lets through not at all are
// left out.
func lexed(texts []string) (guards []*guard) {
	for _, text := range texts {
		if g, _ := newGuard([]byte(text)); g != nil {
			if g.run(); !g.fatal {
				guards = append(guards, g)
			}
		}
	}
	return guards
}

func TestTextsDecodedTogetherAreAsDecodedAlone(t *testing.T) {
	plain := "[service]\nname = \"a\"\nexec = \"b\"\n"
	for _, c := range []struct {
		name     string
		texts    []string
		together int
	}{
		{"one", []string{plain}, 0},
		{"alike", []string{plain, plain, plain}, 3},
		{"without a header, a line break at the end, anything", []string{"a = 1", "", "# no more", "b = 2\n[c]"}, 4},
		{"tables in tables", []string{plain, "\n\n[a.b.c]\nx = [1, [2, 3]]\n[a]\ny = {z = \"#\"}\n[\"f 0\".f0]\nf1 = true\n", plain}, 3},
		{"tables of a list", []string{"[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 1.5\n", "[[a]]\nb = [\n1,\n\n2]\n"}, 2},
		{"letters of several bytes", []string{"[\"é\"]\n\"ä\" = 'ö'\n", "\"ß\" = \"ü\"\n[x]\n"}, 2},
		{"strings of several lines", []string{plain, "a = \"\"\"\n\nb\"\"\"\n[c]\n", plain}, 2},
		{"one that cannot be decoded", []string{plain, "[a]\n[a]\n", plain}, 0},
		{"long ones", []string{plain, plain + "[" + strings.Repeat("x", maxShort) + "]\n", plain}, 2},
	} {
		t.Run(c.name, func(t *testing.T) { sameAlone(t, c.texts, c.together) })
	}
}

// sameAlone decodes texts together, of which so many can be, and each alone.
func sameAlone(t *testing.T, texts []string, together int) {
	guards, alone := lexed(texts), lexed(texts)
	decodeTogether(guards)
	for i, g := range guards {
		if g.root != nil {
			together--
		}
		root, bad := g.decode()
		want, wantBad := alone[i].decode()
		if !reflect.DeepEqual(root, want) || !reflect.DeepEqual(bad, wantBad) {
			t.Errorf("text %d: %+v, %v together, and alone %+v, %v", i, root, bad, want, wantBad)
		}
	}
	if together != 0 {
		t.Errorf("%d more, or fewer, were decoded together than should be", together)
	}
}

func TestAllFilesDecodedTogetherAreAsDecodedAlone(t *testing.T) {
	for _, folder := range []string{"good", "bad"} {
		for name, text := range sources(t, folder) {
			texts := []string{"[service]\nname = \"a\"\n", string(text)}
			guards, alone := lexed(texts), lexed(texts)
			decodeTogether(guards)
			last := len(guards) - 1
			root, bad := guards[last].decode()
			if want, wantBad := alone[last].decode(); !reflect.DeepEqual(root, want) || !reflect.DeepEqual(bad, wantBad) {
				t.Errorf("%s: %+v, %v together, and alone %+v, %v", name, root, bad, want, wantBad)
			}
		}
	}
}

// What one text holds must not become another one's.
func FuzzDecodeTogether(f *testing.F) {
	f.Add("[service]\nname = \"a\"\n", "a = 1\n[b]\nc = {d = [1, 2]}")
	f.Add("[f1]\nx = 1\n[[f0.f1]]\n", "[\"f1\".f0]\n\n#\n")
	f.Fuzz(func(t *testing.T, one, other string) {
		guards, alone := lexed([]string{one, other, one}), lexed([]string{one, other, one})
		decodeTogether(guards)
		for i, g := range guards {
			root, bad := g.decode()
			want, wantBad := alone[i].decode()
			// Floats that are no numbers differ from themselves.
			if fmt.Sprintf("%+v", dump(root)) != fmt.Sprintf("%+v", dump(want)) || !reflect.DeepEqual(bad, wantBad) {
				t.Fatalf("%q and %q: %+v, %v together, and alone %+v, %v", one, other, dump(root), bad, dump(want), wantBad)
			}
		}
	})
}

// dump is a table with those in it, for comparing.
func dump(v any) string {
	switch v := v.(type) {
	case *tomlTable:
		if v == nil {
			return "none"
		}
		return fmt.Sprintf("%d%s", v.line, dump(v.entries))
	case []*tomlTable:
		text := "["
		for _, t := range v {
			text += dump(t)
		}
		return text + "]"
	case []tomlEntry:
		text := "{"
		for _, e := range v {
			text += fmt.Sprintf("%q %d %s,", e.key, e.line, dump(e.value))
		}
		return text + "}"
	}
	return fmt.Sprintf("%T %v", v, v)
}

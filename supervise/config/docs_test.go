package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func servicesDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryKeyIsDocumented(t *testing.T) {
	doc := servicesDoc(t)
	for _, name := range Names() {
		section, key, _ := strings.Cut(name, ".")
		_, rest, found := strings.Cut(doc, "\n## ["+section+"]")
		if !found {
			t.Errorf("docs/services.md has no section [%s]", section)
			continue
		}
		rest, _, _ = strings.Cut(rest, "\n## ")
		if !strings.Contains(rest, "`"+key+"`") {
			t.Errorf("docs/services.md does not describe %s", name)
		}
	}
}

func TestEveryDocumentedExampleLoads(t *testing.T) {
	examples := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(servicesDoc(t), -1)
	if len(examples) < 3 {
		t.Fatalf("found only %d examples", len(examples))
	}
	for _, e := range examples {
		if _, problems := Parse("example.toml", []byte(e[1])); len(problems) > 0 {
			t.Errorf("%v\n%s", problems, e[1])
		}
	}
}

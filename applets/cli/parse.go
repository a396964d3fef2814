package cli

import (
	"fmt"
	"slices"
	"strings"

	"zinit/supervise/config"
)

// A call is a command line that was understood.
type call struct {
	verb  *verb // nil when none was named
	words []string
	flags map[string][]string // every value, by long name; "" for flags without one
}

func (c *call) has(name string) bool { return len(c.flags[name]) > 0 }

// value is the last value of a flag.
func (c *call) value(name, otherwise string) string {
	if all := c.flags[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return otherwise
}

// everywhere lists the flags that may stand in any position, before the verb
// too. A verb's own flags come first, so that -s in kill is the signal.
func everywhere() []flag {
	return []flag{
		{"socket", "s", "PATH", "the server's socket"},
		{"color", "", "WHEN", "auto, always or never"},
		{"help", "h", "", "show help"},
		{"version", "V", "", "show the version"},
		{"debug", "d", "", "accepted for zinit 0.2, where it is for init"},
		jsonFlag,
	}
}

var jsonFlag = flag{"json", "", "", "answer in JSON"}

// A usage is a command line that makes no sense. It is shown as it is.
type usage string

func (u usage) Error() string { return string(u) }

// parse understands a command line. "--" ends the flags.
func parse(verbs []verb, args []string) (call, error) {
	p := parser{verbs: verbs, rest: args}
	p.flags = map[string][]string{}
	for len(p.rest) > 0 {
		arg := p.rest[0]
		p.rest = p.rest[1:]
		var err error
		switch {
		case p.plain || arg == "-" || !strings.HasPrefix(arg, "-"):
			err = p.word(arg)
		case arg == "--":
			p.plain = true
		case strings.HasPrefix(arg, "--"):
			err = p.long(arg[2:])
		default:
			err = p.short(arg[1:])
		}
		if err != nil {
			return p.call, err
		}
	}
	return p.call, p.check()
}

type parser struct {
	call
	verbs []verb
	rest  []string // not yet read
	plain bool     // after "--": no more flags
}

func (p *parser) word(arg string) error {
	if p.verb != nil {
		p.words = append(p.words, arg)
		return nil
	}
	for i := range p.verbs {
		if v := &p.verbs[i]; v.name == arg || slices.Contains(v.aliases, arg) {
			p.verb = v
			return nil
		}
	}
	if p.has("help") {
		return nil
	}
	return unknownVerb(p.verbs, arg)
}

func unknownVerb(verbs []verb, word string) error {
	if word == "rhai" || strings.HasSuffix(word, ".rhai") {
		return usage("zinit: Rhai scripts are not supported: describe services in TOML files (zinit help check), or call zinit start, stop and wait from a shell script")
	}
	var names []string
	for i := range verbs {
		names = append(names, verbs[i].name)
		names = append(names, verbs[i].aliases...)
	}
	if near := config.Nearest(word, names); near != "" {
		return usage(fmt.Sprintf("zinit: unknown command %q: did you mean %s?", word, near))
	}
	return usage(fmt.Sprintf("zinit: unknown command %q: zinit help lists them", word))
}

// known returns the flags that may stand here.
func (p *parser) known() []flag {
	if p.verb == nil {
		return everywhere()
	}
	return append(slices.Clone(p.verb.flags), everywhere()...)
}

func (p *parser) long(text string) error {
	name, value, given := strings.Cut(text, "=")
	for _, f := range p.known() {
		if f.long != name {
			continue
		}
		if f.arg == "" && given {
			return p.wrong("--%s takes no value", name)
		}
		return p.set(f, "--"+name, value, given)
	}
	var names []string
	for _, f := range p.known() {
		names = append(names, f.long)
	}
	if near := config.Nearest(name, names); near != "" {
		return p.wrong("unknown flag --%s: did you mean --%s?", name, near)
	}
	return p.wrong("unknown flag --%s: see zinit help%s", name, p.topic())
}

// short reads one or several flags of one letter: -n 5, -n5.
func (p *parser) short(letters string) error {
	for letters != "" {
		letter := letters[:1]
		letters = letters[1:]
		i := slices.IndexFunc(p.known(), func(f flag) bool { return f.short == letter })
		if i < 0 {
			return p.wrong("unknown flag -%s: see zinit help%s", letter, p.topic())
		}
		f := p.known()[i]
		if f.arg == "" {
			p.flags[f.long] = append(p.flags[f.long], "")
			continue
		}
		return p.set(f, "-"+letter, letters, letters != "")
	}
	return nil
}

func (p *parser) set(f flag, as, value string, given bool) error {
	if f.arg != "" && !given {
		if len(p.rest) == 0 {
			return p.wrong("%s needs a value: see zinit help%s", as, p.topic())
		}
		value, p.rest = p.rest[0], p.rest[1:]
	}
	p.flags[f.long] = append(p.flags[f.long], value)
	return nil
}

// check refuses what is well-formed but not meant.
func (p *parser) check() error {
	if p.has("help") || p.has("version") {
		return nil
	}
	if c := p.value("color", "auto"); c != "auto" && c != "always" && c != "never" {
		return p.wrong("--color is auto, always or never, not %q", c)
	}
	v := p.verb
	switch {
	case v == nil:
		return nil
	case p.has("json") && !v.hasJSON():
		return p.wrong("--json does not go with %s: it has nothing to show", v.name)
	case len(p.words) < v.min:
		return p.wrong("%s is missing: usage: %s", strings.Fields(v.args)[0], v.usage())
	case v.max >= 0 && len(p.words) > v.max:
		return p.wrong("%q is too much: usage: %s", p.words[v.max], v.usage())
	}
	return p.checkApart()
}

// checkApart refuses flags that contradict each other.
func (p *parser) checkApart() error {
	first := ""
	for _, name := range strings.Fields(p.verb.apart) {
		switch {
		case !p.has(name):
		case first != "":
			return p.wrong("--%s and --%s do not go together: choose one", first, name)
		default:
			first = name
		}
	}
	return nil
}

// wrong says what is wrong with the command line.
func (p *parser) wrong(format string, a ...any) error {
	return usage("zinit" + p.topic() + ": " + fmt.Sprintf(format, a...))
}

func (p *parser) topic() string {
	if p.verb == nil {
		return ""
	}
	return " " + p.verb.name
}

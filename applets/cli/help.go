package cli

import (
	"fmt"
	"strings"

	"zinit/applets/env"
)

// help shows the help of a verb, or the overview.
func help(s *session) int {
	if len(s.call.words) == 0 {
		s.print(overview())
		return env.ExitDone
	}
	c, err := parse(table(), []string{s.call.words[0], "--help"})
	if err != nil {
		fmt.Fprintln(s.env.Stderr, err)
		return env.ExitUsage
	}
	s.print(c.verb.helpText())
	return env.ExitDone
}

// overview fits a terminal of 80 by 24.
func overview() string {
	var b strings.Builder
	b.WriteString("zinit keeps services up: it starts, watches, restarts and stops them.\n\n" +
		"Usage: zinit [-s PATH] VERB [FLAGS] [NAME...]\n\n")
	for _, v := range table() {
		fmt.Fprintf(&b, "  %-9s %s\n", v.name, v.summary)
	}
	b.WriteString("\nAnywhere: -s, --socket PATH; --color auto|always|never; -h, --help; -V\n" +
		"Exit: 0 done, 1 failed, 2 usage, 3 wrong state, 4 no such service, 5 no server\n")
	return b.String()
}

// usage is the verb's command line.
func (v *verb) usage() string {
	b := "zinit " + v.name
	for _, f := range v.flags {
		name := "--" + f.long
		if f.short != "" {
			name = "-" + f.short
		}
		if f.arg != "" {
			name += " " + f.arg
		}
		b += " [" + name + "]"
	}
	if v.args != "" {
		b += " " + v.args
	}
	return b
}

// helpText is what zinit help VERB shows. It fits a terminal of 80 by 24.
func (v *verb) helpText() string {
	var b strings.Builder
	fmt.Fprintf(&b, "zinit %s: %s\n\nUsage: %s\n", v.name, v.summary, v.usage())
	if len(v.aliases) > 0 {
		fmt.Fprintf(&b, "Also:  zinit %s\n", strings.Join(v.aliases, ", zinit "))
	}
	if v.help != "" {
		b.WriteString("\n" + v.help)
	}
	if len(v.flags) > 0 {
		b.WriteString("\n")
	}
	for _, f := range v.flags {
		name := "    --" + f.long
		if f.short != "" {
			name = "-" + f.short + ", --" + f.long
		}
		if f.arg != "" {
			name += " " + f.arg
		}
		fmt.Fprintf(&b, "  %-18s  %s\n", name, strings.ReplaceAll(f.about, "\n", "\n"+strings.Repeat(" ", 22)))
	}
	b.WriteString("\nExamples:\n  " + strings.ReplaceAll(v.example, "\n", "\n  ") + "\n")
	return b.String()
}

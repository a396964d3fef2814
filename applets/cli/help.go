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

// overview fits a terminal of 80 by 24, so what belongs together shares a line. A
// test sees to it that every verb is on one.
func overview() string {
	return `zinit keeps services up: it starts, watches, restarts and stops them.

Usage: zinit [-s PATH] VERB [FLAGS] [NAME...]

  list, status, timers     all services; some in detail; what starts when
  why, tree                why one is not running; what depends on what
  logs, events             what services print; what happens to them
  wait                     until services are in a state
  start, stop, restart     with what they need, or what needs them
  kill, signal-reload      send a signal; have one read its configuration again
  start-all, stop-all      all but those of the system
  add-service, remove      one more, or one less
  delete-all               remove all but those of the system
  xinet                    proxies that start services for whoever connects
  check, reload, convert   examine service files; take changes in; write TOML
  monitor, forget, log     as in zinit 0.2: take in a file; drop it; lines
  ping, shutdown, upgrade  does it answer; stop all; run another program
  poweroff, reboot, halt   the machine, when zinit is its process 1
  debug-state, debug-procs all that the server knows; a service's processes
  help                     zinit help VERB: its flags, and examples

Anywhere: -s, --socket PATH; --color auto|always|never; -h, --help; -V
Exit: 0 done, 1 failed, 2 usage, 3 wrong state, 4 no such service, 5 no server
`
}

// screenWidth is what a line of help may take, one column less than a terminal.
const screenWidth = 79

// usage is the verb's command line. Flags that are too many for one line are
// listed below it anyway.
func (v *verb) usage() string {
	flags := ""
	for _, f := range v.flags {
		name := "--" + f.long
		if f.short != "" {
			name = "-" + f.short
		}
		if f.arg != "" {
			name += " " + f.arg
		}
		flags += " [" + name + "]"
	}
	args := v.args
	if args != "" {
		args = " " + args
	}
	if len("Usage: zinit "+v.name+flags+args) > screenWidth {
		flags = " [FLAGS]"
	}
	return "zinit " + v.name + flags + args
}

// A flagRow is a line of help: a flag, or several that share a text.
type flagRow struct {
	names string // "-n, --lines N"
	about string
}

func (v *verb) flagRows() []flagRow {
	var rows []flagRow
	names := ""
	for _, f := range v.flags {
		if names != "" {
			names += ", "
		}
		if f.short != "" {
			names += "-" + f.short + ", "
		}
		names += "--" + f.long
		if f.arg != "" {
			names += " " + f.arg
		}
		if f.about != "" {
			rows = append(rows, flagRow{names, f.about})
			names = ""
		}
	}
	return rows
}

// Where the text of the flags begins: as far left as most flags allow, and not
// further right than a few longer ones need.
const (
	aboutColumn    = 22
	aboutColumnMax = 30
)

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
		b.WriteString("\n" + v.flagText())
	}
	b.WriteString("\nExamples:\n  " + strings.ReplaceAll(v.example, "\n", "\n  ") + "\n")
	return b.String()
}

func (v *verb) flagText() string {
	rows := v.flagRows()
	column := aboutColumn
	for i := range rows {
		names := "  " + rows[i].names
		if strings.HasPrefix(rows[i].names, "--") {
			names = "      " + rows[i].names // below those with a short form
		}
		rows[i].names = names
		if n := len(names) + 2; n <= aboutColumnMax {
			column = max(column, n)
		}
	}
	margin := "\n" + strings.Repeat(" ", column)
	text := ""
	for _, row := range rows {
		line := fmt.Sprintf("%-*s", column, row.names)
		if len(row.names)+2 > column {
			line = row.names + margin
		}
		text += line + strings.ReplaceAll(row.about, "\n", margin) + "\n"
	}
	return text
}

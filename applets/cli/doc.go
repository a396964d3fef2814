// Package cli is the applet zinit: the command line that people and scripts type.
//
// It owns the table of verbs, the parsing of the command line, and how answers
// look: as text, as text on a terminal, and as JSON.
//
//	zinit [-s PATH] VERB [FLAGS] [NAME...]
//	  parse.go    words -> call{verb, words, flags}, or a usage error
//	  verbs*.go   the table: one row per verb, and a file per verb or small group
//	  connect.go  finds the server, asks it, turns refusals into exit codes
//	  stream.go   shows what a server sends by itself, for as long as it does
//	  term.go     colour, and what must not reach a terminal unescaped
//
// What it promises:
//   - Results go to stdout, in one write unless something is waited for; errors
//     go to stderr as "Error: TEXT". Exit codes are those of package env.
//   - The lines of zinit 0.3.9 keep their beginning, so that scripts which match
//     them work; what is ours follows behind or below. What a server of 0.3.9
//     can be asked is asked in its words.
//   - One connection for each command and one request for each question; nothing
//     polls. What is followed (logs -f, events) goes on when the server comes
//     back from a restart.
//   - What a service wrote never drives the terminal; away from a terminal it is
//     passed on untouched.
//   - With --json the server's own result is printed, so that what the server
//     adds is there at once; lines of logs are taken apart, and check has a shape
//     of its own.
//   - Process 1 is signalled only when it has proved to be ours.
//
// What it refuses to know: how services are run. Everything but check comes from
// a server. docs/cli.md and docs/json.md are made from the tables here.
package cli

package sock

import (
	"fmt"
	"slices"
	"strings"
)

// Markdown is the table as documentation for people: docs/rpc.md.
func (t Table) Markdown() []byte {
	d := doc{schemas: schemas{named: make(map[string]*schema)}}
	d.WriteString(rpcIntroduction)
	for _, group := range t.groups() {
		fmt.Fprintf(&d, "\n## Methods of %s\n", group)
		for i := range t {
			if t[i].group() == group {
				d.method(&t[i])
			}
		}
	}
	d.shapes()
	d.errors()
	return []byte(d.String())
}

// group is the part of a name before the dot.
func (m *Method) group() string {
	name, _, _ := strings.Cut(m.Name, ".")
	return name
}

// groups is every group, in the order of the table.
func (t Table) groups() (names []string) {
	for i := range t {
		if !slices.Contains(names, t[i].group()) {
			names = append(names, t[i].group())
		}
	}
	return names
}

// rpcIntroduction is what is true of every method.
const rpcIntroduction = `# RPC

This file is generated from the table of methods that the server uses. The same as an OpenRPC document: ` + "`rpc.discover`" + `.

The server listens on a unix stream socket (/run/zinit.sock for root) and speaks JSON-RPC 2.0. A request is one JSON value, on one line
or several; a reply is one line. A connection takes any number of requests and answers them in order. Ids may be strings, numbers or
null; a request without an id is carried out and not answered; an array of up to 1,000 requests is answered by one array. Parameters
go by name. Unknown parameters are ignored, and clients should ignore keys of results that they do not know: more may come.

    $ echo '{"jsonrpc":"2.0","method":"service.status","params":{"name":"web"},"id":1}' | socat - unix:/run/zinit.sock
    {"jsonrpc":"2.0","id":1,"result":{"name":"web","pid":812,"run":1,"since_ms":1795196509387,"state":"running","uptime_secs":60}}

Who may connect: root, the user of the server, and members of the group that the socket file belongs to. All of them may do everything;
a member of that group is as good as root.

Limits: a request of 1 MiB, all long ones together 64 MiB, 64 levels deep, complete after 30 s; a client that does not read is dropped after 10 s, one with a stream after 10 min; 4,096 connections.

**Streams.** A method that streams answers its request, and then sends notifications on the same connection until the client hangs up.
It needs a connection of its own: what is sent on it meanwhile is not read. When the server ends the stream, the last notification is
` + "`" + NoteEnd + "`" + `: with an error as its params, or with none when there is no more to come. A connection that ends without it has broken.
`

// A doc is a text in the making.
type doc struct {
	strings.Builder
	schemas
}

func (d *doc) method(m *Method) {
	fmt.Fprintf(d, "\n### %s\n\n%s\n\n", m.Name, m.Summary)
	if m.Access == Change {
		d.WriteString("Changes something.")
	} else {
		d.WriteString("Only reads.")
	}
	if m.Waits {
		d.WriteString(" May take long.")
	}
	if len(m.Params) == 0 {
		d.WriteString(" No parameters.")
	}
	d.WriteString("\n\n")
	if len(m.Params) > 0 {
		d.row("Parameter", "Type", "Presence", "Meaning")
		d.row("---", "---", "---", "---")
		for i := range m.Params {
			p := &m.Params[i]
			required := ""
			if p.Required {
				required = "required"
			}
			d.row("`"+p.Name+"`", d.link(p.schema(&d.schemas)), required, p.Summary)
		}
		d.WriteByte('\n')
	}
	fmt.Fprintf(d, "Result: %s\n", d.link(d.of(m.Result, false)))
	for _, p := range m.pushes() {
		fmt.Fprintf(d, "\nThen: `%s` with %s\n", p.Name, d.link(d.of(p.Params, false)))
	}
}

// shapes describes every object that was met, and those that are met in them.
func (d *doc) shapes() {
	d.WriteString("\n## Shapes\n\nA field that is not marked as optional is always there; in what a client sends, only what is required must be.\n")
	for i := 0; i < len(d.names); i++ {
		name := d.names[i]
		s := d.named[name]
		fmt.Fprintf(d, "\n### %s\n\n", name)
		d.row("Field", "Type", "Presence", "Meaning")
		d.row("---", "---", "---", "---")
		input := strings.HasSuffix(name, "Input")
		for _, field := range s.fields {
			one, note := s.Properties[field], ""
			switch required := slices.Contains(s.Required, field); {
			case input && required:
				note = "required"
			case !input && !required:
				note = "optional"
			}
			text := one.Description
			if one.Enum != nil {
				text = strings.TrimPrefix(text+": "+strings.Join(one.Enum, ", "), ": ")
			}
			d.row("`"+field+"`", d.link(one), note, text)
		}
	}
}

func (d *doc) errors() {
	d.WriteString("\n## Errors\n\nAn error has a `code`, a `message` for people, and often `data` with a `code` of its own: a stable word.\n\n")
	d.row("Code", "Name", "When")
	d.row("---", "---", "---")
	for _, c := range codes() {
		d.row(fmt.Sprint(c.code), c.name, c.when)
	}
	d.WriteString("\nThe words:\n\n")
	d.row("Word", "When")
	d.row("---", "---")
	for _, w := range words() {
		d.row("`"+w.word+"`", w.when)
	}
}

func (d *doc) row(cells ...string) {
	for _, cell := range cells {
		d.WriteString("| ")
		d.WriteString(strings.ReplaceAll(cell, "|", `\|`))
		d.WriteByte(' ')
	}
	d.WriteString("|\n")
}

// link is the name of a schema, with links to the shapes in it.
func (d *doc) link(s *schema) string {
	name := s.typeName()
	for _, word := range strings.Fields(name) {
		if d.named[word] != nil {
			name = strings.Replace(name, word, "["+word+"](#"+strings.ToLower(word)+")", 1)
		}
	}
	return name
}

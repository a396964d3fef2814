package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zinit/sock"
)

const docsDir = "../../docs"

const cliPageHead = `# The command line

<!-- Made from the table of verbs in applets/cli: go test ./applets/cli -update rewrites it. -->

` + "```\n%s```\n" + `
Flags may stand anywhere, the last of a repeated one counts, and ` + "`--`" + ` ends them. A
mistyped verb, flag or word is answered with the one that was probably meant.
`

const cliPageRules = `
## Where the server is looked for

With ` + "`--socket PATH`" + ` or ` + "`ZINIT_SOCKET`" + ` only there. Otherwise the first of these that
accepts: ` + "`$XDG_RUNTIME_DIR/zinit.sock`" + ` (without that variable ` + "`/tmp/zinit-UID/zinit.sock`" + `;
not for root), ` + "`/run/zinit.sock`" + `, ` + "`$HOME/hero/var/zinit.sock`" + `. When none does, the message
names each place with the reason, and the command line that starts a server.

## Output

Results go to stdout, errors to stderr as ` + "`Error: THING: REASON: NEXT STEP`" + `. Colour is used on a
terminal, unless ` + "`NO_COLOR`" + ` is set or ` + "`TERM`" + ` is ` + "`dumb`" + `; ` + "`--color always`" + ` and
` + "`--color never`" + ` decide otherwise. What services wrote, and what names and reasons hold, cannot
drive a terminal: control characters are shown as ` + "`\\x1b`" + `. Away from a terminal logs are
passed on untouched, with times as Unix milliseconds. ` + "`--json`" + `: [docs/json.md](json.md).

## Exit codes

| code | meaning |
|---|---|
| 0 | done |
| 1 | refused, failed, or with ` + "`--wait`" + `: it did not get there |
| 2 | the command line makes no sense |
| 3 | the service is not running, or not in that state (` + "`wait`" + `: not within the timeout) |
| 4 | there is no such service |
| 5 | no server answers |

Of several names each is dealt with; the first failure decides the code.

## States

| | state | meaning |
|---|---|---|
`

// stateMeanings is what the column beside a state says.
func stateMeanings() map[string]string {
	return map[string]string{
		sock.Inactive: "never started, or stopped while it had no process",
		sock.Blocked:  "it is to run, but waits for another service, or something is in its way",
		sock.Starting: "its process runs, but is not ready yet",
		sock.Running:  "it is up, and others may rely on it",
		sock.Stopping: "it was told to stop, and its process has not ended yet",
		sock.Exited:   "it ended well, or because it was told to",
		sock.Failed:   "it ended badly, did not start, or cannot be started",
	}
}

// samples are transcripts that show what a verb prints: golden file, command line.
func samples() map[string][2]string {
	return map[string][2]string{
		"list": {"list", "list"}, "status": {"status", "status web"}, "why": {"why", "why multi-user"}, "tree": {"tree", "tree"},
		"logs": {"logs", "logs web db -n 1"}, "events": {"events", "events web"}, "wait": {"wait", "wait web db"}, "timers": {"timers", "timers"},
		"start": {"start", "start multi-user"}, "kill": {"kill", "kill web HUP"}, "remove": {"remove", "remove db"},
		"reload": {"reload", "reload --dry-run"}, "debug-procs": {"debug", "debug-procs shot"}, "ping": {"ping", "ping"}, "xinet": {"xinet", "xinet status pg"},
	}
}

// transcript is the output of a command line in a golden file, without what is
// meant for tests only.
func transcript(t *testing.T, golden, line string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, golden+".golden"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "$ zinit "+line+"\n")
	if !ok {
		t.Fatalf("%s.golden has no line zinit %s", golden, line)
	}
	rest, _, _ = strings.Cut(rest, "[exit ")
	out := "$ zinit " + line + "\n"
	for l := range strings.Lines(rest) {
		if !strings.HasPrefix(l, "> ") {
			out += strings.TrimPrefix(l, "! ")
		}
	}
	return out
}

func cliPage(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, cliPageHead, overview())
	b.WriteString(cliPageRules)
	for _, state := range sock.States() {
		glyph, _, _ := look(state)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", glyph, state, stateMeanings()[state])
	}
	b.WriteString("\n## Verbs\n")
	for _, v := range table() {
		fmt.Fprintf(&b, "\n### zinit %s\n\n", v.name)
		if len(v.aliases) > 0 {
			fmt.Fprintf(&b, "Also `zinit %s`. ", strings.Join(v.aliases, "`, `zinit "))
		}
		summary := strings.ToUpper(v.summary[:1]) + v.summary[1:]
		fmt.Fprintf(&b, "%s.\n\n```\n%s\n```\n", summary, v.usage())
		if v.help != "" {
			b.WriteString("\n" + v.help)
		}
		if len(v.flags) > 0 {
			b.WriteString("\n| flag | |\n|---|---|\n")
		}
		for _, row := range v.flagRows() {
			fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(row.names, ", ", "`, `"), strings.ReplaceAll(row.about, "\n", " "))
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n", v.example)
		if sample, ok := samples()[v.name]; ok {
			fmt.Fprintf(&b, "\n```console\n%s```\n", transcript(t, sample[0], sample[1]))
		}
	}
	return b.String()
}

func TestTheCommandLinePageIsUpToDate(t *testing.T) {
	comparePage(t, "cli.md", cliPage(t))
}

// comparePage compares a page of the documentation with what it should be.
func comparePage(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(docsDir, name)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale; go test -update rewrites it\n%s", file, firstDifference(string(got), want))
	}
}

func TestTheOverviewNamesEveryVerb(t *testing.T) {
	words := map[string]bool{}
	for _, word := range strings.FieldsFunc(overview(), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }) {
		words[word] = true
	}
	for _, v := range table() {
		if !words[v.name] {
			t.Errorf("the overview lacks %s", v.name)
		}
	}
}

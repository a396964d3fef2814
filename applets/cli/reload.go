package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"zinit/applets/env"
	"zinit/sock"
)

// reload has the server take in its service files, or tell what that would do.
func reload(s *session) int {
	params := sock.ReloadParams{DryRun: s.call.has("dry-run")}
	if len(s.call.words) > 0 {
		params.Name = s.call.words[0]
	}
	var raw json.RawMessage
	if err := s.ask(sock.MethodReload, params, &raw); err != nil {
		return s.fail(err)
	}
	var result sock.ReloadResult
	if err := json.Unmarshal(raw, &result); err != nil {
		return s.fail(fmt.Errorf("cannot read the answer to %s: %w", sock.MethodReload, err))
	}
	if s.call.has("json") {
		s.printf("%s\n", raw)
	} else {
		s.printReload(&result)
	}
	// Who names one wants that one.
	unread := params.Name != "" && slices.ContainsFunc(result.Problems, func(p string) bool { return !strings.Contains(p, ": warning: ") })
	if len(result.Failed) > 0 || unread {
		return env.ExitFailed
	}
	return env.ExitDone
}

// printReload prints a line for each service that is concerned. The problems of
// the files go to stderr, so that what happens can be counted.
func (s *session) printReload(r *sock.ReloadResult) {
	problems := ""
	for _, p := range r.Problems {
		problems += escape(p) + "\n"
	}
	io.WriteString(s.env.Stderr, problems) // nobody is left to tell when this fails

	fates := reloadFates(r)
	done := "Reloaded"
	if r.DryRun {
		done = "Dry run"
	}
	if len(fates) == 0 {
		s.printf("%s: nothing has changed\n", done)
		return
	}
	s.printf("%s: %s\n", done, reloadCounts(r))
	width := 0
	for _, f := range fates {
		width = max(width, utf8.RuneCountInString(escape(f.name)))
	}
	for _, f := range fates {
		name := escape(f.name)
		s.print(s.paint(f.colour, f.glyph) + " " + name)
		s.pad(width - utf8.RuneCountInString(name))
		s.print("  " + s.hang(2+width+2, escape(strings.Join(f.words, ", "))) + "\n")
	}
}

// reloadCounts is the sum of a reload: "1 added, 2 changed".
func reloadCounts(r *sock.ReloadResult) string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{{len(r.Added), "added"}, {len(r.Changed), "changed"}, {len(r.Removed), "removed"}, {len(r.Failed), "failed"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return "nothing has changed"
	}
	return strings.Join(parts, ", ")
}

// A fate is what a reload does to one service.
type fate struct {
	name          string
	glyph, colour string
	words         []string
}

// reloadFates gathers what the lists of a reload say about each service: first
// what was added, changed and removed, then what goes with it.
func reloadFates(r *sock.ReloadResult) []fate {
	var fates []fate
	at := func(name string) *fate {
		i := slices.IndexFunc(fates, func(f fate) bool { return f.name == name })
		if i < 0 {
			fates = append(fates, fate{name: name, glyph: " "})
			i = len(fates) - 1
		}
		return &fates[i]
	}
	for _, list := range []struct {
		names         sock.Names
		glyph, colour string
		word          string
	}{
		{r.Added, "+", "32", "added"},
		{r.Changed, "~", "33", "changed"},
		{r.Removed, "-", "31", "removed"},
		{r.Stopped, "", "", "stops"},
		{r.Started, "", "", "starts"},
		{r.Restarted, "", "", "restarts"},
		{r.RestartToApply, "", "", "runs on as it was started: restart it to apply"},
	} {
		for _, name := range list.names {
			f := at(name)
			f.words = append(f.words, list.word)
			if list.glyph != "" {
				f.glyph, f.colour = list.glyph, list.colour
			}
		}
	}
	for _, failed := range r.Failed {
		f := at(failed.Name)
		f.glyph, f.colour = "✗", "31"
		f.words = append(f.words, "fails: "+strings.TrimPrefix(failed.Text, failed.Name+": "))
	}
	for _, sockets := range r.Sockets {
		f := at(sockets.Name)
		f.words = append(f.words, sockets.Text)
	}
	for _, lack := range r.ConfigErrors {
		if slices.ContainsFunc(r.Failed, func(f sock.NamedText) bool { return f.Name == lack[0] }) {
			continue
		}
		f := at(lack[0])
		f.glyph, f.colour = "✗", "31"
		f.words = append(f.words, "requires "+lack[1]+", which does not exist: add it, or remove it from requires")
	}
	for _, proxy := range r.Proxies {
		f := fate{name: proxy.Name, glyph: "~", colour: "33", words: []string{"proxy " + proxy.Text}}
		switch proxy.Text {
		case sock.ProxyAdded:
			f.glyph, f.colour = "+", "32"
		case sock.ProxyRemoved:
			f.glyph, f.colour = "-", "31"
		}
		fates = append(fates, f) // a service may have the same name
	}
	return fates
}

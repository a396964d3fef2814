package main_test

import (
	"strings"
	"syscall"
	"testing"
)

// TestFault54NothingButRunCanBeWritten: by a user who is not root, and nothing can be
// executed there. /var/run is a link to it.
func TestFault54NothingButRunCanBeWritten(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit")
	b.readOnly, b.openRun, b.uid = true, true, 1000
	b.start()
	b.says(b.out, "web | serving\n")
	if text := b.must("zinit", "list"); !strings.Contains(text, "web Running") {
		t.Errorf("zinit list in it shows\n%s", text)
	}
	if text := b.must("zinit", "--socket", "/var/run/zinit.sock", "logs", "web"); !strings.Contains(text, "serving") {
		t.Errorf("zinit logs in it shows\n%s", text)
	}
	b.kill(syscall.SIGTERM)
	b.ends(0)
	if text := b.errs.String(); strings.Contains(text, " warn ") || strings.Contains(text, " error ") {
		t.Errorf("something does not work: %s", text)
	}
}

// TestFault55WhatNeedsMoreSaysSo: what a service asks for that is not there.
func TestFault55WhatNeedsMoreSaysSo(t *testing.T) {
	t.Parallel()
	b := newBox(t, "zinit")
	b.noProc = true
	b.services = map[string]string{
		"number": appService("number", "serve", "user = \"1234\"\ngroup = \"1234\""),
		"named":  appService("named", "serve", "user = \"www-data\"", "[lifecycle]\nrestart = \"never\""),
		"shell":  "[service]\nname = \"shell\"\nexec = \"app serve | app cat\"\n[lifecycle]\nrestart = \"never\"\n",
		"ask":    "[service]\nname = \"ask\"\nexec = \"zinit debug-procs number\"\noneshot = true\n[dependencies]\nrequires = [\"number\"]\n",
	}
	b.start()
	b.says(b.out, "number | serving\n")
	b.says(b.errs, "user www-data is not known: there is no /etc/passwd: write a number", "there is no /bin/sh here: install a shell", "needs /proc")
	b.kill(syscall.SIGTERM)
	b.ends(0)
}

// TestFault55AnImageThatHoldsNothing: no place to write to, no rights, no /proc, and as
// always here no /etc/passwd, no /bin/sh and no /tmp.
func TestFault55AnImageThatHoldsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*box)
		warns  string // the only line that is said; empty: none
	}{
		"root":        {func(b *box) {}, ""},
		"read-only":   {func(b *box) { b.readOnly, b.noRun = true, true }, "nobody can connect, and logs are kept in memory"},
		"a user":      {func(b *box) { b.uid = 1000 }, "nobody can connect, and logs are kept in memory"},
		"no /proc":    {func(b *box) { b.noProc = true }, ""},
		"all of that": {func(b *box) { b.readOnly, b.noRun, b.noProc, b.uid = true, true, true, 1000 }, "nobody can connect, and logs are kept in memory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, feed := feeder(t)
			b := newBox(t, "zinit-pid1", "--container", "--", "app", "cat")
			b.stdin = in
			c.change(b)
			b.start()
			b.says(b.out, "db | serving\n", "web | serving\n")
			feed.Close()
			b.ends(0)
			b.saidBye("web", "db")
			own := 0
			for line := range strings.Lines(b.errs.String()) {
				if strings.Contains(line, " | ready") || line == "0 bytes\n" {
					continue
				}
				if own++; c.warns == "" || !strings.Contains(line, c.warns) || own > 1 {
					t.Errorf("it says %q", line)
				}
			}
		})
	}
}

// TestFault56AContainerEndsWithItsMainService: with its code, after the services.
func TestFault56AContainerEndsWithItsMainService(t *testing.T) {
	main := func(args string) map[string]string {
		return map[string]string{"app": appService("app", args, "main = true\n[lifecycle]\nrestart = \"never\"")}
	}
	for name, c := range map[string]struct {
		args     []string
		services map[string]string
		code     int
		out      string // all that is on stdout
		errs     string // is on stderr
	}{
		"a command":              {args: []string{"--container", "--", "app", "exit", "42"}, services: map[string]string{}, code: 42},
		"a killed one":           {args: []string{"--", "app", "kill"}, services: map[string]string{}, code: 137},
		"one that is not there":  {args: []string{"--", "nothing"}, services: map[string]string{}, code: 127, errs: "nothing"},
		"one that reads":         {args: []string{"--", "app", "cat"}, services: map[string]string{}, out: "12345\x00no newline", errs: "16 bytes\n"},
		"a service of the files": {services: main("exit 42"), code: 42},
		"one that reads, too":    {services: main("cat"), out: "12345\x00no newline", errs: "16 bytes\n"},
		"one that is killed":     {services: main("kill"), code: 137},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, append([]string{"zinit-pid1"}, c.args...)...)
			b.services, b.stdin = c.services, strings.NewReader("12345\x00no newline")
			b.start().ends(c.code)
			if b.out.String() != c.out || !strings.Contains(b.errs.String(), c.errs) {
				t.Errorf("it wrote %q, %q", b.out, b.errs)
			}
			if c.args != nil && c.errs == "" && b.errs.String() != "" {
				t.Errorf("without cause it said %q", b.errs)
			}
		})
	}
}

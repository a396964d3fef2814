package xinet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"zinit/applets/env"
	"zinit/proxy"
	"zinit/proxy/address"
)

// flags is a command line that was understood.
type flags struct {
	cfg           proxy.Config
	single        bool
	busy          string // queue or refuse; empty: as single says
	socket        string
	level         string
	help, version bool
}

// A row is one flag.
type row struct {
	names []string // with dashes, the longest first
	value string   // what the help calls the value; empty for a switch
	help  string
	set   func(f *flags, value string) error
}

func table() []row {
	return []row{
		{[]string{"--listen", "-l"}, "ADDR", "where clients connect: tcp:HOST:PORT or unix:/PATH; may be repeated", func(f *flags, v string) error {
			a, err := address.Parse(v)
			f.cfg.Listen = append(f.cfg.Listen, a)
			return err
		}},
		{[]string{"--backend", "-b"}, "ADDR", "where the service listens", func(f *flags, v string) (err error) {
			f.cfg.Backend, err = address.Parse(v)
			return err
		}},
		{[]string{"--service"}, "NAME", "the service that is started", func(f *flags, v string) error { f.cfg.Service = v; return nil }},
		{[]string{"--connect-timeout"}, "D", "how long a connection waits for it (default: 30s)", func(f *flags, v string) (err error) {
			f.cfg.ConnectTimeout, err = period(v)
			return err
		}},
		{[]string{"--idle-timeout"}, "D", "stop it when it was not needed that long (default: 0, never)", func(f *flags, v string) (err error) {
			f.cfg.IdleTimeout, err = period(v)
			return err
		}},
		{[]string{"--idle-from"}, "WHAT", "count that from the last close (default) or byte", func(f *flags, v string) error {
			f.cfg.FromByte = v == "byte"
			return oneOf(v, "close", "byte")
		}},
		{[]string{"--max-connections"}, "N", "serve at most N at a time (default: 0, any number)", func(f *flags, v string) error {
			n, err := strconv.ParseUint(v, 10, 31)
			f.cfg.MaxConnections = int(n)
			if err != nil {
				return fmt.Errorf("%q is no number", v)
			}
			return nil
		}},
		{[]string{"--single-connection", "--single"}, "", "serve one at a time, and refuse others", func(f *flags, _ string) error { f.single = true; return nil }},
		{[]string{"--on-busy"}, "WHAT", "queue (default) or refuse those above the limit", func(f *flags, v string) error {
			f.busy = v
			return oneOf(v, "queue", "refuse")
		}},
		{[]string{"--socket", "-s"}, "PATH", "the socket of the zinit server", func(f *flags, v string) error { f.socket = v; return nil }},
		{[]string{"--log-level"}, "LEVEL", strings.Join(env.LogLevels(), ", "), func(f *flags, v string) error {
			f.level = v
			return oneOf(v, env.LogLevels()...)
		}},
		{[]string{"--help", "-h"}, "", "show this help", func(f *flags, _ string) error { f.help = true; return nil }},
		{[]string{"--version", "-V"}, "", "show the version", func(f *flags, _ string) error { f.version = true; return nil }},
	}
}

func oneOf(v string, words ...string) error {
	if slices.Contains(words, v) {
		return nil
	}
	return fmt.Errorf("%q is not known: use %s", v, strings.Join(words, " or "))
}

// period reads a duration, or a number of seconds.
func period(v string) (time.Duration, error) {
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: write seconds, or 500ms, 30s, 5m", v)
	}
	return d, nil
}

// parseFlags understands a command line. "--flag=value" and "--flag value" are the same.
func parseFlags(args []string) (flags, error) {
	f := flags{cfg: proxy.Config{ConnectTimeout: 30 * time.Second}}
	for len(args) > 0 {
		name, value, glued := strings.Cut(args[0], "=")
		args = args[1:]
		all := table()
		i := slices.IndexFunc(all, func(r row) bool { return slices.Contains(r.names, name) })
		switch {
		case i < 0:
			return f, fmt.Errorf("unknown argument %q", name)
		case all[i].value == "" && glued:
			return f, fmt.Errorf("%s takes no value", name)
		case all[i].value != "" && !glued && len(args) == 0:
			return f, fmt.Errorf("%s needs a value: %s %s", name, name, all[i].value)
		case all[i].value != "" && !glued:
			value, args = args[0], args[1:]
		}
		if err := all[i].set(&f, value); err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	f.cfg.Name = f.cfg.Service
	if f.single {
		f.cfg.MaxConnections = 1
	}
	f.cfg.Refuse = f.busy == "refuse" || f.single && f.busy == ""
	if f.help || f.version {
		return f, nil
	}
	return f, f.cfg.Check()
}

// usage is the help, with a newline at its end.
func usage() string {
	var b strings.Builder
	b.WriteString("usage: xinet --listen ADDR --backend ADDR --service NAME [flags]\n\n" +
		"Listens for clients, has a zinit server start the service for the first one, and\n" +
		"carries their connections to it.\n\nflags:\n")
	for _, r := range table() {
		long, short := r.names[0], ""
		for _, n := range r.names[1:] {
			if len(n) == 2 {
				short = n + ", "
			}
		}
		if r.value != "" {
			long += " " + r.value
		}
		fmt.Fprintf(&b, "  %4s%-22s  %s\n", short, long, r.help)
	}
	return b.String()
}

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

// table lists the flags in the order of the help; they are for f.
func (f *flags) table() []env.Flag {
	return []env.Flag{
		{Names: []string{"--listen", "-l"}, Value: "ADDR", Help: "where clients connect: tcp:HOST:PORT or unix:/PATH; may be repeated", Set: func(v string) error {
			a, err := address.Parse(v)
			f.cfg.Listen = append(f.cfg.Listen, a)
			return err
		}},
		{Names: []string{"--backend", "-b"}, Value: "ADDR", Help: "where the service listens", Set: func(v string) (err error) {
			f.cfg.Backend, err = address.Parse(v)
			return err
		}},
		{Names: []string{"--service"}, Value: "NAME", Help: "the service that is started", Set: func(v string) error { f.cfg.Service = v; return nil }},
		{Names: []string{"--connect-timeout"}, Value: "D", Help: "how long a connection waits for it (default: 30s)", Set: func(v string) (err error) {
			f.cfg.ConnectTimeout, err = period(v)
			return err
		}},
		{Names: []string{"--idle-timeout"}, Value: "D", Help: "stop it when it was not needed that long (default: 0, never)", Set: func(v string) (err error) {
			f.cfg.IdleTimeout, err = period(v)
			return err
		}},
		{Names: []string{"--idle-from"}, Value: "WHAT", Help: "count that from the last close (default) or byte", Set: func(v string) error {
			f.cfg.FromByte = v == "byte"
			return oneOf(v, "close", "byte")
		}},
		{Names: []string{"--max-connections"}, Value: "N", Help: "serve at most N at a time (default: 0, any number)", Set: func(v string) error {
			n, err := strconv.ParseUint(v, 10, 31)
			f.cfg.MaxConnections = int(n)
			if err != nil {
				return fmt.Errorf("%q is no number", v)
			}
			return nil
		}},
		{Names: []string{"--single-connection", "--single"}, Value: "", Help: "serve one at a time, and refuse others", Set: func(string) error { f.single = true; return nil }},
		{Names: []string{"--on-busy"}, Value: "WHAT", Help: "queue (default) or refuse those above the limit", Set: func(v string) error {
			f.busy = v
			return oneOf(v, "queue", "refuse")
		}},
		{Names: []string{"--socket", "-s"}, Value: "PATH", Help: "the socket of the zinit server", Set: func(v string) error { f.socket = v; return nil }},
		{Names: []string{"--log-level"}, Value: "LEVEL", Help: strings.Join(env.LogLevels(), ", "), Set: func(v string) error {
			f.level = v
			return oneOf(v, env.LogLevels()...)
		}},
		{Names: []string{"--help", "-h"}, Value: "", Help: "show this help", Set: func(string) error { f.help = true; return nil }},
		{Names: []string{"--version", "-V"}, Value: "", Help: "show the version", Set: func(string) error { f.version = true; return nil }},
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
	for table := f.table(); len(args) > 0; {
		used, err := env.TakeFlag(table, args)
		if err != nil {
			return f, err
		}
		args = args[used:]
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
	return "usage: xinet --listen ADDR --backend ADDR --service NAME [flags]\n\n" +
		"Listens for clients, has a zinit server start the service for the first one, and\n" +
		"carries their connections to it.\n\nflags:\n" + env.FlagHelp(new(flags).table(), 22)
}

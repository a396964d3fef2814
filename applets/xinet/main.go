package xinet

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"zinit/applets/env"
	"zinit/applets/logline"
	"zinit/proxy"
)

// Main runs one proxy until SIGTERM, SIGINT or SIGHUP ends it. SIGUSR1 has it accept no
// more and end with its last connection.
func Main(e *env.Env) int {
	var args []string
	if len(e.Args) > 1 {
		args = e.Args[1:]
	}
	f, err := parseFlags(args)
	switch {
	case err != nil:
		fmt.Fprintf(e.Stderr, "xinet: %v\n", err)
		return env.ExitUsage
	case f.help:
		return say(e, usage())
	case f.version:
		return say(e, "xinet "+env.Version+"\n")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	if err := serve(e, f, signals); err != nil {
		fmt.Fprintf(e.Stderr, "xinet: %v\n", err)
		return env.ExitFailed
	}
	return env.ExitDone
}

func say(e *env.Env, text string) int {
	if _, err := io.WriteString(e.Stdout, text); err != nil {
		return env.ExitFailed
	}
	return env.ExitDone
}

// serve is the life of one proxy.
func serve(e *env.Env, f flags, signals <-chan os.Signal) error {
	raiseFiles()
	log := logline.New(e.Stderr, e.LogLevel(f.level, "info"), false)
	var listeners []*proxy.Listener
	for _, a := range f.cfg.Listen {
		l, err := proxy.Listen(a, nil)
		if err != nil {
			for _, l := range listeners {
				_ = l.Remove() // it was made a moment ago
				l.Close()
			}
			return err
		}
		listeners = append(listeners, l)
	}
	set := proxy.NewSet(&control{paths: e.SocketCandidates(f.socket)}, log)
	if err := set.Put(f.cfg, listeners); err != nil {
		return err
	}
	for _, l := range listeners {
		log.Info("listening", "address", l.Address.Place(), "backend", f.cfg.Backend, "service", f.cfg.Service)
	}
	over, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case sig := <-signals:
			for _, l := range listeners {
				if err := l.Remove(); err != nil {
					log.Warn("a socket is left behind", "error", err)
				}
			}
			if sig != syscall.SIGUSR1 {
				return nil
			}
			drained := set.Drain()
			go func() {
				<-drained
				cancel()
			}()
		case <-over.Done():
			return nil
		}
	}
}

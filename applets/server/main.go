package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"zinit/applets/env"
	"zinit/applets/logline"
	"zinit/reap"
	"zinit/sock"
	"zinit/supervise"
	"zinit/supervise/config"
	"zinit/supervise/logs"
	"zinit/supervise/wallclock"
)

// The descriptors at which the keeper puts the two ends of its channel.
const (
	requestsFD = 3
	filesFD    = 4
)

// parkedThreads is how many the server keeps for what it has to do at a time: four
// processors, the pump of the logs, signals, and what waits for a file system. A server
// whose user is at the limit on processes is to go on, and not to end with a page of
// stacks whenever it would like another thread.
const parkedThreads = 12

// settleTime bounds the wait for a keeper that reads no more.
const settleTime = time.Second

// Main runs the server until a shutdown has ended (0) or it cannot go on (1).
func Main(e *env.Env) int {
	// With two, a quarter of all restarts waited for a thread to be woken.
	runtime.GOMAXPROCS(4)
	heap := newCollector()
	defer heap.burst()()
	// Whoever reads the log may go away. By default a write after that ends a Go
	// program, and so it would end every server after this one.
	signal.Ignore(syscall.SIGPIPE)
	flags, err := e.ParseServerFlags(env.DialectServer)
	if err != nil {
		fmt.Fprintf(e.Stderr, "zinit-server: %v\n", err)
		return env.ExitUsage
	}
	to, opened := logTo(e, flags)
	out := logline.NewPatient(to)
	defer out.Flush()
	log := logline.New(out, flags.LogLevel, isTerminal(to) && e.Getenv("NO_COLOR") == "")
	if opened != nil {
		log.Warn("the log goes to standard error", "error", opened)
	}
	if err := run(e, flags, heap, log); err != nil {
		log.Error("cannot go on: " + err.Error())
		return env.ExitFailed
	}
	return env.ExitDone
}

// run is the life of one server.
func run(e *env.Env, flags env.ServerFlags, heap *collector, log *slog.Logger) error {
	place := leftPlace(flags.Socket)
	var first *reading
	if place != nil {
		first = read(flags, place, log) // while the keeper says what there is
	}
	keeper, inv, err := reap.Connect(requestsFD, filesFD)
	if err != nil {
		return fmt.Errorf("cannot speak to the keeper: %w: start zinit-server, not this program", err)
	}
	keeper.Hold() // the supervisor flushes at the end of each turn
	if place == nil {
		place, err = openPlace(flags.Socket, holdsSocket(inv.Kept))
	}
	if err != nil {
		return err
	}
	defer place.close()
	ln, id, err := listen(flags.Socket, inv.Kept, keeper)
	if err != nil && !mayGoUnserved(flags, err) {
		return err
	}
	place.warn(err, log)
	store, err := openLogs(place.logDir(), keeper.Release, log)
	if err != nil {
		return err
	}
	// With many services each of these takes a while, and none needs another.
	if first == nil {
		first = read(flags, place, log)
	}
	var others sync.WaitGroup
	store.Adopting()
	others.Go(func() { adoptOutputs(store, inv, keeper.Release) })
	memory := openMemory(place, inv, keeper, log)
	others.Wait()
	s, set := first.wait()
	s.logs, s.heap = store, heap
	launcher := newLauncher(keeper, lentStreams(e, flags), log)
	parts := s.parts(place, keeper, launcher, set, inv)
	memory.parts(&parts)
	clockSet, unwatch, err := wallclock.Watch()
	if err != nil {
		log.Warn("calendar timers may be late when the clock is set", "error", err)
	} else {
		defer unwatch()
	}
	sent := func() { keeper.Sent(settleTime) }
	s.sup = supervise.New(supervise.Options{Parts: parts, Events: keeper.Events(), Hangup: s.hangup, Report: s.report, ClockSet: clockSet, Sent: sent})
	watchLogs(store, inv.Kept[watchName], keeper, s.stirred, log)
	messages := s.openOutlets(e, inv.Kept, keeper)
	defer s.leaveOnSignal()()
	s.manager = newNotifier(os.Getenv(notifyVar), log)
	wire := sock.NewServer(s.table(), sock.Options{Log: log, Lines: s.lines})
	serve := func() {
		if ln == nil {
			return
		}
		if err := wire.Serve(ln); err != nil {
			log.Error("the socket is closed", "error", err)
		}
	}
	log.Info("started", "config_dir", flags.ConfigDir, "socket", flags.Socket, "services", len(set.Services), "pid", os.Getpid())
	err = s.sup.Run(set, inv, func() {
		s.proxies.sync(set.Proxies)
		s.sockets.watch(s.sup)
		// Not before: who asks early waits, instead of hearing of no services.
		go serve()
		keeper.Ready()
		s.manager.ready(len(set.Services))
		// One after the other, so that there is a processor left for whoever asks: pipes
		// and sockets hold what is in them.
		go func() {
			s.ears.Adopt(inv.Kept) // first: ends are waiting for what was said before
			store.Adopted()
			launcher.Tidy(used(inv.Children))
			s.saveCompiled()
			reap.ParkThreads(parkedThreads)
		}()
	})
	s.end(wire)
	keeper.Settle(settleTime) // that a shutdown began may not be said yet: the keeper would start another server
	if errors.Is(err, supervise.ErrLeft) {
		log.Info("another server takes over; everything runs on")
		return nil
	}
	s.proxies.stop() // which may be under way
	s.sockets.stop()
	s.leaveNothing()
	messages.end(log)
	if ln != nil {
		if err := sock.Remove(flags.Socket, id); err != nil {
			log.Debug("the socket is left behind", "error", err)
		}
	}
	log.Info("everything is down")
	return err
}

// A reading is a server that is reading its configuration.
type reading struct {
	done sync.WaitGroup
	s    *server
	set  *config.Set
}

func read(flags env.ServerFlags, at *place, log *slog.Logger) *reading {
	r := new(reading)
	r.done.Go(func() {
		r.s = newServer(flags, at, nil, log)
		r.set = r.s.firstConfig()
	})
	return r
}

func (r *reading) wait() (*server, *config.Set) {
	r.done.Wait()
	return r.s, r.set
}

// leaveOnSignal has SIGUSR1 end the server and nothing else. What it returns undoes
// that.
func (s *server) leaveOnSignal() (end func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for range asked {
			s.sup.Leave()
		}
	}()
	return func() {
		signal.Stop(asked)
		close(asked)
	}
}

// end lets running calls answer and the logs reach their files.
func (s *server) end(wire *sock.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := wire.Shutdown(ctx); err != nil {
		s.log.Debug("calls were cut off", "error", err)
	}
	s.logs.Flush(ctx)
}

// openLogs opens the log stores, in memory when their directory cannot be made.
func openLogs(dir string, released func(name string), log *slog.Logger) (*logs.Logs, error) {
	store, err := logs.Open(dir, released)
	if err != nil && dir != "" {
		log.Warn("logs are kept in memory and do not outlive the server", "error", err)
		store, err = logs.Open("", released)
	}
	return store, err
}

// isTerminal reports that people look at w. Other character devices count too:
// colour in /dev/null harms nobody.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&fs.ModeCharDevice != 0
}

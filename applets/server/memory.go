package server

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"zinit/reap"
	"zinit/supervise"
	"zinit/supervise/machine"
	"zinit/supervise/proc"
	"zinit/supervise/state"
)

// stateName is the name of the store in the runtime directory, and that of its
// memory file at the keeper where there is no directory.
const stateName = "state"

// keeperKey is the record that says under which keeper the others were written.
const keeperKey = "keeper"

// A keeperRecord tells one keeper from every other one.
type keeperRecord struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // see reap.StartTime
	Boot  string `json:"boot,omitempty"`
}

// thisKeeper is the process that started this one. Without /proc its start time is
// not known, and 0.
func thisKeeper() keeperRecord {
	k := keeperRecord{Pid: os.Getppid()}
	k.Start, _ = reap.StartTime(k.Pid) // 0 says that nobody knows
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		k.Boot = strings.TrimSpace(string(boot))
	}
	return k
}

// A memory is the store of what the next server must know.
type memory struct {
	*state.Store
	path string // empty: it is in memory
}

// openMemory opens the store that the last server left, or begins one. What was
// written under another keeper is of no use: its processes are nobody's children any
// more. Those that it left behind are ended here, before anything is started. When
// nothing can be written anywhere there is none.
func openMemory(p *place, inv reap.Inventory, keeper holder, log *slog.Logger) *memory {
	m, report, err := openStore(p, inv, keeper)
	if err != nil {
		log.Warn("a server that takes over will only know what the keeper does", "error", err)
		return nil
	}
	if report.Damaged() {
		log.Warn("the state that the last server wrote is damaged: going by the processes where it says nothing",
			"records", report.Records, "lost", report.Lost, "bytes_skipped", report.Skipped)
	}
	now := thisKeeper()
	var last keeperRecord
	known := json.Unmarshal(m.Get(keeperKey), &last) == nil
	if known && last == now {
		return m
	}
	// A store without the record was damaged, if this keeper had a server before.
	if known || len(inv.Runs) == 0 {
		if last.Boot == now.Boot {
			endLeftovers(m.leftovers(), log)
		}
		m.clear()
	}
	text, err := json.Marshal(now)
	if err == nil {
		err = errors.Join(m.Put(keeperKey, text), m.Commit())
	}
	if err != nil {
		log.Warn("the state cannot be written", "error", err)
	}
	return m
}

func openStore(p *place, inv reap.Inventory, keeper holder) (*memory, state.Report, error) {
	if p.dir != "" {
		path := filepath.Join(p.dir, stateName)
		s, report, err := state.Open(path)
		return &memory{s, path}, report, err
	}
	renew := func() (*os.File, error) { return reap.MemoryFile(stateName) }
	settle := func(f *os.File) error { return keeper.Keep(stateName, f) }
	s, report, err := state.Over(inv.Kept[stateName], renew, settle)
	return &memory{s, ""}, report, err
}

func (m *memory) clear() {
	var keys []string
	m.Records(func(key string, _ []byte) { keys = append(keys, key) })
	for _, key := range keys {
		m.Delete(key)
	}
}

// end removes the store: after a shutdown there is nothing to take over.
func (m *memory) end(log *slog.Logger) {
	if m == nil || m.path == "" {
		return
	}
	if err := os.Remove(m.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Debug("the state is left behind", "error", err)
	}
}

// parts gives a supervisor its memory, and the clock that its moments are in.
func (m *memory) parts(to *supervise.Parts) {
	if m == nil {
		return
	}
	to.Memory = m.Store
	base, nanos := time.Now(), reap.Monotonic()
	to.Clock = machine.Clock{
		Nanos: func(t time.Time) int64 { return nanos + int64(t.Sub(base)) },
		Time:  func(n int64) time.Time { return base.Add(time.Duration(n - nanos)) },
	}
}

// leftovers are the processes that were written down and live: a keeper and its
// server were killed, and nobody is left who knows them.
func (m *memory) leftovers() (left []leftover) {
	for _, p := range supervise.Processes(m.Store) {
		if start, err := reap.StartTime(p.Pid); err == nil && start == p.Start && p.Start != 0 {
			left = append(left, leftover{p.Service, p.Pid, p.Start})
		}
	}
	return left
}

type leftover struct {
	service string
	pid     int
	start   uint64
}

// leftoverTime is how long leftovers may take to end after SIGTERM.
const leftoverTime = 5 * time.Second

// endLeftovers ends processes that belong to nobody any more, all at once, and
// returns when they are gone or will not go. Each leads a session and a group of
// its own.
func endLeftovers(left []leftover, log *slog.Logger) {
	if len(left) == 0 {
		return
	}
	gone := make(chan leftover, len(left))
	alive := map[leftover]bool{}
	for _, l := range left {
		log.Warn("a keeper was killed and left this process behind: ending it", "service", l.service, "pid", l.pid)
		alive[l] = true
		reap.AwaitExit(l.pid, l.start, func() { gone <- l })
		signalLeftover(l, syscall.SIGTERM, log)
	}
	for _, sig := range []syscall.Signal{syscall.SIGKILL, 0} {
		late := time.NewTimer(leftoverTime)
		for len(alive) > 0 {
			select {
			case l := <-gone:
				delete(alive, l)
				continue
			case <-late.C:
			}
			break
		}
		late.Stop()
		for l := range alive {
			if sig == 0 {
				log.Error("it does not end: another one may be started beside it", "service", l.service, "pid", l.pid)
				continue
			}
			signalLeftover(l, sig, log)
		}
		if len(alive) == 0 {
			break
		}
	}
	endSessions(left, log)
}

// endSessions kills what those leaders left in their sessions. A session whose
// number is now the pid of another process is another one.
func endSessions(left []leftover, log *slog.Logger) {
	all, err := proc.FS{}.All()
	if err != nil {
		log.Debug("cannot look for what leftovers left behind", "error", err)
		return
	}
	services := map[int]string{}
	for _, l := range left {
		services[l.pid] = l.service
	}
	for _, p := range all {
		delete(services, p.Pid)
	}
	for _, p := range all {
		if service, ok := services[p.Session]; ok {
			log.Warn("ending a process of its session", "service", service, "pid", p.Pid, "name", p.Name)
			_ = reap.SignalByPidfd(p.Pid, p.Start, syscall.SIGKILL) // it may be gone by now
		}
	}
}

func signalLeftover(l leftover, sig syscall.Signal, log *slog.Logger) {
	err := reap.SignalGroup(l.pid, l.start, sig)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		log.Warn("cannot signal it", "service", l.service, "pid", l.pid, "error", err)
	}
}

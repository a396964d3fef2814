package server

import (
	"context"
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
type memory struct{ *state.Store }

// openMemory opens the store that the last server left, or begins one. What was
// written under another keeper is of no use: its processes are nobody's children any
// more. Those that it left behind are ended here, before anything is started. When
// nothing can be written anywhere there is none.
func openMemory(p *place, inv reap.Inventory, keeper holder, log *slog.Logger) *memory {
	m, report, err := openStore(p, inv, keeper, log)
	if err != nil {
		log.Warn("a server that takes over will only know what the keeper does", "error", err)
		return nil
	}
	now := thisKeeper()
	var last keeperRecord
	known := json.Unmarshal(m.Get(keeperKey), &last) == nil
	switch {
	case report.Damaged():
		log.Warn("the state that the last server wrote is damaged: going by the processes where it says nothing",
			"records", report.Records, "lost", report.Lost, "bytes_skipped", report.Skipped)
	case !known && len(inv.Runs) > 0:
		log.Warn("the state that the last server wrote is missing: going by the processes where it says nothing",
			"records", report.Records)
	}
	if known && last == now {
		return m
	}
	// A store without the record was damaged, if this keeper had a server before.
	if known || len(inv.Runs) == 0 {
		// Pid and start time tell a stranger, also where the keeper's record is lost.
		if !known || last.Boot == now.Boot {
			endLeftovers(m.leftovers(), log)
		}
		if known && last.Boot == now.Boot {
			endGroups(last, log)
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

// openStore opens the store in the runtime directory; where that cannot be, one in
// memory that the keeper holds. From then on the keeper's is the newer one.
func openStore(p *place, inv reap.Inventory, keeper holder, log *slog.Logger) (*memory, state.Report, error) {
	held := inv.Kept[stateName]
	if p.dir != "" && held == nil {
		s, report, err := state.Open(filepath.Join(p.dir, stateName))
		if err == nil {
			return &memory{s}, report, nil
		}
		log.Warn("the state is kept in memory and does not outlive the keeper: move away what is in its place, or make room, before the next start of both",
			"dir", p.dir, "error", err)
	}
	renew := func() (*os.File, error) { return reap.MemoryFile(stateName) }
	settle := func(f *os.File) error { return keeper.Keep(stateName, f) }
	s, report, err := state.Over(held, renew, settle)
	return &memory{s}, report, err
}

func (m *memory) clear() {
	var keys []string
	m.Records(func(key string, _ []byte) { keys = append(keys, key) })
	for _, key := range keys {
		m.Delete(key)
	}
}

// leaveNothing removes what was written for the next server: after a shutdown there is
// nothing to take over.
func (s *server) leaveNothing() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.exclusively(ctx, func() (err error) {
		s.over = true
		if s.at.dir == "" {
			return nil
		}
		for _, name := range []string{stateName, compiledName} {
			for _, end := range []string{"", ".new"} {
				e := syscall.Unlink(filepath.Join(s.at.dir, name+end)) // never a directory, which is not ours
				if e != nil && e != syscall.ENOENT {
					err = errors.Join(err, &fs.PathError{Op: "remove", Path: name + end, Err: e})
				}
			}
		}
		return err
	})
	if err != nil {
		s.log.Debug("something is left behind in the runtime directory", "error", err)
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

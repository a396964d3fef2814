package supervise

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zinit/reap"
	"zinit/supervise/config"
	"zinit/supervise/machine"
)

// pinned is what a server of an earlier day left behind when it was killed, as its
// program wrote it into a real runtime directory: records.jsonl of testdata/state/DIR,
// beside the configuration that was in force then.
type pinned struct {
	dir     string
	written int64             // the moment, in nanoseconds of its clock
	folders map[string]string // of the configuration, with where they were then
	alive   map[string]uint64 // what runs, with its run
	ended   map[string]uint64
}

var (
	version1 = pinned{
		dir: "version1", written: 23579_000_000_000,
		folders: map[string]string{"services": "/etc/zinit/services", "ephemeral": "/run/zinit/services"},
		alive:   map[string]uint64{"web": 1, "changed": 1, "eph": 1, "stubborn": 1},
		ended:   map[string]uint64{"givenup": 3, "backoff": 1, "setup": 1, "byhand": 1, "waits": 1},
	}
	version3 = pinned{
		dir: "version3", written: 40312_200_000_000,
		folders: map[string]string{"services": "/etc/zinit/services"},
		alive:   map[string]uint64{"web": 1, "changed": 1, "daemon": 1, "saying": 1, "hooked": 1, "hooked/hook": 2},
		ended:   map[string]uint64{"timed": 1},
	}
)

func (p *pinned) records(t *testing.T) *simMemory {
	t.Helper()
	text, err := os.ReadFile("../testdata/state/" + p.dir + "/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	m := newSimMemory()
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var rec struct {
			Key   string
			Value json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			t.Fatal(err)
		}
		m.kept[rec.Key] = bytes.Clone(rec.Value)
	}
	if len(m.kept) == 0 {
		t.Fatal("no records")
	}
	return m
}

func (p *pinned) config(t *testing.T) *config.Set {
	t.Helper()
	set := &config.Set{}
	for from, at := range p.folders {
		files, err := filepath.Glob("../testdata/state/" + p.dir + "/" + from + "/*.toml")
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of %s: %v", from, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, problems := config.Parse(filepath.Join(at, filepath.Base(file)), text)
			if s == nil {
				t.Fatalf("%s: %v", file, problems)
			}
			set.Services = append(set.Services, s)
		}
	}
	return set
}

// takeOver boots a server on those records; those of which they say that they run do.
func (p *pinned) takeOver(t *testing.T, m *simMemory, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := newPlayer()
		for key, run := range p.alive {
			k.start(reap.Spec{Key: key, Run: run, Path: "/bin/sleep", Argv: []string{"sleep"}, Group: true})
		}
		<-time.After(10 * ms)
		synctest.Wait()
		k.close()
		k = playOn(k.sim)
		k.take()
		h := newHouse(t, k)
		began := time.Now()
		h.s.core.Memory = m
		h.s.core.Clock = machine.Clock{
			Nanos: func(at time.Time) int64 { return p.written + int64(at.Sub(began)) },
			Time:  func(n int64) time.Time { return began.Add(time.Duration(n - p.written)) },
		}
		inv := k.inventory()
		maps.Copy(inv.Runs, p.ended)
		h.boot(p.config(t), inv)
		defer h.close()
		h.pass(50 * ms)
		test(h)
	})
}

// are compares states, with their reasons.
func (h *house) are(t *testing.T, want map[string]string) {
	t.Helper()
	for name, want := range want {
		v := h.s.Snapshot().Find(name)
		if v == nil {
			t.Errorf("%s is unknown", name)
			continue
		}
		is := v.State.String()
		if v.Reason != "" {
			is += " (" + v.Reason + ")"
		}
		if is != want {
			t.Errorf("%s is %s, want %s", name, is, want)
		}
	}
}

// The state that version 1 wrote must be understood for ever.
func TestTheStateOfVersion1IsUnderstood(t *testing.T) {
	version1.takeOver(t, version1.records(t), func(h *house) {
		h.are(t, map[string]string{
			"web":      "running",
			"changed":  "running",
			"eph":      "running",
			"stubborn": "stopping (stop asked for)",
			"byhand":   "exited (stopped)",
			"setup":    "exited (exit code 0)",
			"givenup":  "failed (exit code 1; given up after 2 restarts)",
			"backoff":  "failed (exit code 1)",
			"waits":    "blocked",
		})
		h.did("") // nothing runs twice, and the stop signal was sent before
		if v := h.s.Snapshot().Find("changed"); !v.RestartToApply {
			t.Error("changed: what it was started with is not known any more")
		}
		if v := h.s.Snapshot().Find("givenup"); v.Restarts != 2 {
			t.Errorf("givenup: %d restarts, want 2", v.Restarts)
		}
		// The back-off goes on where it was: 60 s from its failure.
		h.pass(42 * time.Second)
		h.did("")
		h.pass(4 * time.Second)
		h.did("spawn backoff")
	})
}

// And so must that of version 3: hooks, timers, what services say of themselves, and
// what they were started with in brief.
func TestTheStateOfVersion3IsUnderstood(t *testing.T) {
	version3.takeOver(t, version3.records(t), func(h *house) {
		h.are(t, map[string]string{
			"web":     "running",
			"changed": "running",
			"daemon":  "running",
			"saying":  "running",
			"hooked":  "starting",
			"timed":   "exited (exit code 0)",
		})
		h.did("") // the hook goes on
		snap := h.s.Snapshot()
		if v := snap.Find("changed"); !v.RestartToApply {
			t.Error("changed: what it was started with is not known any more")
		}
		if v := snap.Find("saying"); v.Status != "all is well" {
			t.Errorf("saying says %q", v.Status)
		}
		if v := snap.Find("timed"); v.Timer == nil || time.Until(v.Timer.Next).Round(time.Second) != 3573*time.Second {
			t.Errorf("timed: the timer is %+v", v.Timer)
		}
		h.k.ends(t, "hooked/hook", reap.ExitCode(0))
		h.pass(10 * ms)
		h.are(t, map[string]string{"hooked": "running"})
	})
}

// What is not known is kept at every depth, and goes with the object that it is of.
func TestWhatALaterVersionAddsIsKeptAtEveryDepth(t *testing.T) {
	later := []byte(`{"v":99,"machine":{"state":"failed","why":{"kind":1,"mood":"bad"}},"hook":{"run":3,"nice":7},"timer":{"every":5,"moon":{"full":true}}}`)
	s := strangeIn(99, later)
	if s == nil {
		t.Fatal("everything is known")
	}
	for _, c := range []struct{ text, want string }{
		{`{"v":99,"machine":{"state":"failed","why":{"kind":1}},"hook":{"run":3},"timer":{"every":6}}`,
			`{"hook":{"nice":7,"run":3},"machine":{"state":"failed","why":{"kind":1,"mood":"bad"}},"timer":{"every":6,"moon":{"full":true}},"v":99}`},
		{`{"v":99,"machine":{"state":"failed"},"timer":{"every":7}}`, `{"machine":{"state":"failed"},"timer":{"every":7,"moon":{"full":true}},"v":99}`},
		{`{"v":99,"machine":{"state":"failed"},"hook":{"run":4},"timer":{"every":7}}`, `{"hook":{"run":4},"machine":{"state":"failed"},"timer":{"every":7,"moon":{"full":true}},"v":99}`},
	} {
		if got, err := s.merge([]byte(c.text)); err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.text, err, got, c.want)
		}
	}
	if s := strangeIn(3, []byte(`{"v":3,"machine":{"state":"running","why":null},"pid":7}`)); s != nil {
		t.Errorf("strange: %+v", s.members)
	}
}

// A server of a later version has written: what it added is understood as far as
// possible, and what is not is still there for the next of that version.
func TestTheStateOfALaterVersionIsKept(t *testing.T) {
	m := version1.records(t)
	for key, text := range m.kept {
		if !strings.HasPrefix(key, stateKey) {
			continue
		}
		text = bytes.Replace(text, []byte(`{"v":1,"machine":{`), []byte(`{"v":99,"tomorrow":{"x":[1]},"machine":{"phase_of_moon":"full",`), 1)
		m.kept[key] = text
	}
	version1.takeOver(t, m, func(h *house) {
		h.did("")
		h.ok(h.s.Stop("web"))
		h.pass(10 * ms)
		h.did("TERM web")
		for _, word := range []string{`"v":99`, `"tomorrow":{"x":[1]}`, `"phase_of_moon":"full"`} {
			if text := m.kept[stateKey+"web"]; !bytes.Contains(text, []byte(word)) {
				t.Errorf("lost %s: %s", word, text)
			}
		}
	})
}

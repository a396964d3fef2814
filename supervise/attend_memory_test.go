package supervise

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"zinit/reap"
)

// A meteredMemory counts what is put.
type meteredMemory struct {
	*simMemory
	bytes int
}

func (m *meteredMemory) Put(key string, value []byte) error {
	m.bytes += len(value)
	return m.simMemory.Put(key, value)
}

// conns are the keys of the connections that are written down.
func (m *simMemory) conns() string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(m.kept)) {
		if strings.HasPrefix(key, connKey) {
			keys = append(keys, key)
		}
	}
	return strings.Join(keys, " ")
}

func TestAConnectionIsWrittenDownByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := remembering(t)
		m := &meteredMemory{simMemory: newSimMemory()}
		h.s.core.Memory = m
		h.boot(services(t, "echo accept=1000"), h.k.inventory())
		h.pass(10 * ms)
		one := func(i int) int {
			before := m.bytes
			h.calls("echo", fmt.Sprintf("192.0.2.1:%d", 10000+i))
			return m.bytes - before
		}
		first, last := one(0), 0
		for i := range 300 {
			last = one(i + 1)
		}
		if first == 0 || last > first+first/2 {
			t.Errorf("the first connection writes down %d bytes, the last %d", first, last)
		}
		h.ok(h.s.Stop("echo"))
		h.pass(10 * ms)
		if keys := m.conns(); keys != "" {
			t.Errorf("it is still known of %s", keys)
		}
		h.close()
	})
}

// TestConnectionsOfAnEarlierServer: it wrote them down with the service.
func TestConnectionsOfAnEarlierServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := attended(t, echoLine, "a", "b")
		m := h.s.core.Memory.(*simMemory)
		h.s.Leave()
		<-h.s.Done()
		var rec map[string]any
		if err := json.Unmarshal(m.kept[stateKey+"echo"], &rec); err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		for key, value := range m.kept {
			if strings.HasPrefix(key, connKey) {
				list = append(list, value)
				delete(m.kept, key)
			}
		}
		rec["conns"] = list
		text, err := json.Marshal(rec)
		if err != nil {
			t.Fatal(err)
		}
		m.kept[stateKey+"echo"] = text
		if list := Processes(m); len(list) != 2 {
			t.Errorf("the processes are %v", list)
		}
		h = h.succeed(t, echoLine)
		h.connected("echo", 2, "a", "b")
		if keys := m.conns(); keys != "conn/echo/1 conn/echo/2" {
			t.Errorf("it is known of %s", keys)
		}
		h.close()
	})
}

// TestConnectionsThatEndedUnseen, or whose service is gone, are forgotten by who takes
// over.
func TestConnectionsThatEndedUnseen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := attended(t, echoLine, "a", "b")
		m := h.s.core.Memory.(*simMemory)
		if list := Processes(m); len(list) != 2 {
			t.Errorf("the processes are %v", list)
		}
		h.s.Leave()
		<-h.s.Done()
		h.k.ends(t, "echo/conn0", reap.ExitCode(0))
		h.pass(10 * ms)
		m.kept["conn/gone/7"] = []byte(`{"slot":0,"run":7}`)
		m.kept["conn/echo/9"] = []byte(`damaged`)
		h = h.succeed(t, echoLine)
		h.connected("echo", 2, "b")
		m.kept["conn/echo/2"] = []byte(`damaged`)
		h = h.succeed(t, echoLine)
		h.connected("echo", 2, "")
		if since := h.s.Snapshot().Find("echo").Connections[0].Since; since.UnixMilli() == 0 {
			t.Error("it is not known since when")
		}
		h.calls("echo", "c")
		if keys := m.conns(); keys != "conn/echo/2 conn/echo/3" {
			t.Errorf("it is known of %s", keys)
		}
		h.close()
	})
}

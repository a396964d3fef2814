package reap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// left is what a keeper with a bit of everything leaves, descriptors aside.
func left() []message {
	k := bare()
	k.stage = StageDrain
	for i := range 3 {
		c := &Child{Key: "s" + strconv.Itoa(i), Run: 7, Pid: 100 + i, Start: 5, Group: true, MainGone: i == 2}
		k.inheritChild(c)
		k.record(c.Key).run = 7
	}
	k.record("done").run = 3
	k.record("done").exit = &Exited{Key: "done", Run: 3, Pid: 99, Status: KilledBy(9)}
	k.pending = []syscall.Signal{1, 15}
	k.plan = plan{steps: []PlanStep{{"s1", 1, 15, ScopeGroup, 10}}, worst: time.Minute, next: []PlanStep{{Key: "s2"}}}
	for pid := range orphansKept + 9 {
		k.table.orphans.add(Orphan{Pid: 1000 + pid, Start: 1, Status: ExitCode(2)})
	}
	k.session = &session{number: 2, pid: 50, ready: true, drained: true, over: true, asked: true,
		exit: &Exited{Run: 2, Pid: 50, Status: ExitCode(1)}, out: &outbox{}}
	k.notice(ServerReady{50})
	k.notice(ServerExited{50, ExitCode(1), true, false})
	list := k.bequest(false, map[string]string{"role": "machine", "": "nothing"})
	for _, n := range k.takeNotices() {
		list = append(list, recordOf(n))
	}
	return list
}

// bare is a keeper that does nothing.
func bare() *Keeper {
	return &Keeper{
		log:     func(string, ...any) {},
		table:   &Table{byPid: map[int]*entry{}, byRun: map[runID]*entry{}, groups: map[int]*entry{}},
		records: map[string]*life{},
		notices: make(chan Notice, 64),
	}
}

func TestAKeeperIsWhatItWasLeft(t *testing.T) {
	first := left()
	h, err := decodeHeritage(encodeHeritage(first))
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(h.Notes, map[string]string{"role": "machine", "": "nothing"}) {
		t.Errorf("notes %v", h.Notes)
	}
	k := bare()
	k.inherit(h)
	second := k.bequest(false, h.Notes)
	for _, n := range k.takeNotices() {
		second = append(second, recordOf(n))
	}
	if a, b := described(first), described(second); !slices.Equal(a, b) {
		t.Errorf("left\n%s\nbecame\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func described(list []message) (lines []string) {
	for _, m := range list {
		lines = append(lines, fmt.Sprintf("%T%+v", m, reflect.ValueOf(m).Elem().Interface()))
	}
	slices.Sort(lines)
	return lines
}

// head puts a header before a packet.
func head(format byte, packet []byte) []byte {
	text := append([]byte(heritageMagic), format)
	return append(binary.LittleEndian.AppendUint32(text, crc32.ChecksumIEEE(packet)), packet...)
}

func TestADamagedHeritageIsRefused(t *testing.T) {
	text := encodeHeritage(left()[:20])
	for i := range text {
		if _, err := decodeHeritage(text[:i]); err == nil {
			t.Fatalf("cut after %d of %d bytes", i, len(text))
		}
		flipped := bytes.Clone(text)
		flipped[i] ^= 1 << (i % 8)
		// A bit of the format may give that of a neighbour, which is read.
		if _, err := decodeHeritage(flipped); err == nil && i != len(heritageMagic) {
			t.Fatalf("changed at %d of %d bytes", i, len(text))
		}
	}
	child := func(pid int) *Child { return &Child{Key: strconv.Itoa(pid), Run: 1, Pid: pid} }
	for name, list := range map[string][]message{
		"a child that would be everybody": {child(-1)},
		"a child that would be the group": {child(0)},
		"a child that is process 1":       {child(1)},
		"two children of one pid":         {child(7), child(7)},
		"a group that is everybody":       {&Child{Key: "a", Run: 1, Pid: 7, leader: 1}},
		"another that is everybody":       {&Child{Key: "a", Run: 1, Pid: 7, other: -1}},
	} {
		if _, err := decodeHeritage(encodeHeritage(list)); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
}

// The program may be older or newer by one step than the one that left it.
func TestNeighbouringFormatsAreRead(t *testing.T) {
	packet := encodeHeritage(left())[heritageHeader:]
	news := append([]byte{200, 4, 0, 0, 0}, "news"...) // a verb of tomorrow
	packet = slices.Insert(packet, 1, news...)
	held := []byte{verbHeld, 7, 0, 0, 0, 1, 'a', 70, 1, 9, 9, 9} // fields of tomorrow
	old := []byte{verbSession, 1, 0, 0, 0, 3}                    // and one of yesterday
	packet = slices.Concat(packet, held, old)
	for format := byte(0); format < 4; format++ {
		h, err := decodeHeritage(head(format, packet))
		if (err == nil) != (format >= heritageFormat-1 && format <= heritageFormat+1) {
			t.Errorf("format %d: %v", format, err)
		}
		if err != nil {
			continue
		}
		if m := find[*heldMessage](h); m == nil || *m != (heldMessage{"a", 70, true}) {
			t.Errorf("format %d: %+v", format, m)
		}
		if n := len(h.messages); *(h.messages[n-1].(*sessionMessage)) != (sessionMessage{Number: 3}) {
			t.Errorf("format %d: %+v", format, h.messages[n-1])
		}
	}
}

func TestAVariableOfSomebodyElseIsNoHeritage(t *testing.T) {
	for value, wrong := range map[string]bool{"": false, "house": false, "0": false, "-4": false, "99999": true} {
		t.Setenv(heritageEnv, value)
		h, err := readHeritage()
		if h != nil || (err != nil) != wrong {
			t.Errorf("%q: %v, %v", value, h, err)
		}
		if _, there := os.LookupEnv(heritageEnv); there {
			t.Errorf("%q: children get it", value)
		}
	}
}

// FuzzHeritage: whatever is left, taking it over neither panics nor signals anybody
// whom nobody started, and what comes of it can be left again.
func FuzzHeritage(f *testing.F) {
	f.Add(encodeHeritage(left())[heritageHeader:])
	for _, m := range messages {
		f.Add(encodeHeritage([]message{m})[heritageHeader:])
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		h, err := decodeHeritage(head(heritageFormat, packet))
		if err != nil {
			return
		}
		if len(h.messages) > 1000 {
			return // they are no other
		}
		for _, m := range h.messages {
			if s, ok := m.(*sessionMessage); ok {
				s.Requests, s.Files = 0, 0 // they would be the fuzzer's
			}
		}
		k := bare()
		k.inherit(h)
		for pid := range k.table.byPid {
			if pid <= 1 {
				t.Fatalf("pid %d", pid)
			}
		}
		for range orphansKept + 1 {
			k.table.orphans.add(Orphan{})
		}
		k.takeNotices()
		if _, err := decodeHeritage(encodeHeritage(k.bequest(true, h.Notes))); err != nil {
			t.Fatal(err)
		}
	})
}

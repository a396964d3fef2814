package reap

import (
	"bytes"
	"math"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// messages is one of each kind, every field set.
var messages = []message{
	&spawnMessage{"web", 7, true, true, true, false, spawnArgs{"/bin/x", "/srv", []string{"x", "", "y"}, []string{"A=1"}}},
	&spawnMessage{Key: "web", Run: math.MaxUint64, Fd: true},
	&dressMessage{spawnMessage{"web", 7, true, true, true, false, spawnArgs{"/bin/x", "/srv", []string{"x", "", "y"}, []string{"A=1"}}},
		dress{true, true, true, "/cg/web.svc", true, 3, &Credential{1000, 1001, []uint32{4, 5}, true}, wholePrep()}},
	&dressMessage{spawnMessage: spawnMessage{Key: "web", Fd: true}},
	&declinedMessage{"web", 8, syscall.EMFILE},
	&signalMessage{"web", 7, syscall.SIGKILL, ScopeGroup},
	&ackMessage{runID{"web", 7}},
	&planMessage{true, true, time.Minute, []PlanStep{{"web", 3, syscall.SIGTERM, ScopeMain, 10_000}, {Key: "db"}}},
	new(readyMessage),
	new(drainingMessage), &drainingMessage{Code: 42},
	&tookMessage{syscall.SIGHUP},
	&helloMessage{StageDrain, 5},
	&Child{Key: "web", Run: 7, Pid: 4711, Start: 123456, Group: true, MainGone: true, Watched: true, Cgroup: "/sys/fs/cgroup/web.svc", leader: 4700, other: 4709},
	&watchMessage{"web", 7, 4712},
	&Watched{"web", 7, 4712, 123457},
	&WatchFailed{"web", 7, 4712, "because"},
	&knownMessage{runID{"db", 9}},
	new(completeMessage),
	&Spawned{"web", 7, 4711, 123456},
	&SpawnFailed{"web", 7, syscall.ENOENT, "because", "a text"},
	&Exited{"web", 7, 4711, Status{signal: 11, core: true}, true, true},
	&GroupGone{"web", 7},
	&Signaled{syscall.SIGTERM},
	&keepMessage{nameMessage{"out/web/7/1"}},
	&releaseMessage{nameMessage{"out/web/7/1"}},
	new(reexecMessage),
	&Reexecuted{"because", 3},
	&heirMessage{812, true},
	&sessionMessage{3, 813, true, true, true, true, true, 7, 8, true},
	&unsentMessage{"\x01\x00"},
	&heldMessage{"out/web/7/1", 64, true},
	&orphansMessage{1 << 40},
	&Orphan{4712, 123457, ExitCode(3)},
	&noticeMessage{noticeExited, 813, KilledBy(9), true, true},
	&noteMessage{"role", "machine"},
	&killedMessage{"/cg/web.svc", 1 << 40},
	&birthMessage{Child{Key: "web", Run: 7, Pid: 4711, Group: true, Cgroup: "/cg/web.svc", leader: 4711}},
}

// wholePrep has every field set.
func wholePrep() *Prep {
	umask, nice, score, caps := uint32(0o27), -5, -999, uint64(1)<<40|1
	return &Prep{&umask, &nice, &score, &caps, true, []Rlimit{{7, 1024, math.MaxUint64}, {0, 0, 1}}, []string{"LISTEN_PID"}}
}

func decodeAll(packet []byte) (list []message, ok bool) {
	ok = decodePacket(packet, func(m message) { list = append(list, m) })
	return list, ok
}

func TestEveryMessageComesBackAsItWas(t *testing.T) {
	var packet []byte
	verbs := make(map[byte]bool)
	for _, m := range messages {
		packet = appendRecord(packet, m)
		verbs[m.verb()] = true
	}
	got, ok := decodeAll(packet)
	if !ok || !reflect.DeepEqual(got, messages) {
		t.Fatalf("%v: got\n%v", ok, got)
	}
	for verb := range 256 {
		m := newMessage(byte(verb))
		if (m != nil) != verbs[byte(verb)] || m != nil && m.verb() != byte(verb) {
			t.Errorf("verb %d: %T", verb, m)
		}
	}
}

func TestOldAndNewUnderstandEachOther(t *testing.T) {
	whole := &Exited{"web", 7, 4711, ExitCode(3), true, true}
	full := appendRecord(nil, whole)
	set := func(packet []byte, verb byte, payload []byte) []byte {
		return append(packet, append([]byte{verb, byte(len(payload)), 0, 0, 0}, payload...)...)
	}
	payload := full[1+headerSize:]
	tests := []struct {
		name   string
		packet []byte
		want   []message
	}{
		{"an unknown verb is skipped", appendRecord(set([]byte{version}, 200, []byte("news")), whole), []message{whole}},
		{"a further field is skipped", set([]byte{version}, verbExited, append(bytes.Clone(payload), 9, 9)), []message{whole}},
		{"a missing last field is zero", set([]byte{version}, verbExited, payload[:len(payload)-1]),
			[]message{&Exited{"web", 7, 4711, ExitCode(3), true, false}}},
	}
	for _, test := range tests {
		got, ok := decodeAll(test.packet)
		if !ok || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v %v", test.name, ok, got)
		}
	}
}

func TestDamagedPacketsAreRefused(t *testing.T) {
	whole := appendRecord(nil, &Spawned{"web", 7, 4711, 5})
	huge := []byte{version, verbSpawned, 2, 0, 0, 0, 0xff, 0x7f} // a string of 16383 bytes
	signal := []byte{version, verbSignal, 6, 0, 0, 0, 1, 'a', 1, 9, 0x80, 2}
	list := []byte{version, verbPlan, 5, 0, 0, 0, 1, 1, 1, 0xff, 0x7f}
	for _, packet := range [][]byte{nil, whole[:3], whole[:len(whole)-1], huge, signal, list} {
		if list, ok := decodeAll(packet); ok || len(list) != 0 {
			t.Errorf("%v: %v", packet, list)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var all []byte
	for _, m := range messages {
		f.Add(appendRecord(nil, m))
		all = appendRecord(all, m)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, packet []byte) {
		first, _ := decodeAll(packet)
		var again []byte
		for _, m := range first {
			again = appendRecord(again, m)
		}
		second, ok := decodeAll(again)
		if len(first) > 0 && (!ok || !reflect.DeepEqual(first, second)) {
			t.Fatalf("%v %v\n%v", ok, first, second)
		}
	})
}

func TestParentAndStartTimeAreReadFromAStatFile(t *testing.T) {
	tests := []struct {
		stat   string
		parent int
		start  uint64
		ok     bool
	}{
		{"7 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 987654 23", 4, 987654, true},
		{"7 (a) b) (c) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23", 4, 22, true},
		{"7 (a) S 4", 0, 0, false},
		{"", 0, 0, false},
		{"7 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 x 23", 0, 0, false},
		{"7 (a) S x 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23", 0, 0, false},
	}
	for _, test := range tests {
		parent, start, err := parseStat([]byte(test.stat))
		if (err == nil) != test.ok || test.ok && (parent != test.parent || start != test.start) {
			t.Errorf("%q: %d, %d, %v", test.stat, parent, start, err)
		}
	}
}

func TestTheLastOrphansAreRemembered(t *testing.T) {
	var o orphans
	for pid := range orphansKept + 10 {
		o.add(Orphan{Pid: pid})
		list := o.list()
		if first := max(0, pid+1-orphansKept); list[0].Pid != first || list[len(list)-1].Pid != pid {
			t.Fatalf("after %d: %d to %d", pid, list[0].Pid, list[len(list)-1].Pid)
		}
	}
	if o.count != orphansKept+10 {
		t.Errorf("count %d", o.count)
	}
}

func TestStatusIsACodeOrASignal(t *testing.T) {
	var core syscall.WaitStatus = 11 | 0x80
	tests := []struct {
		status Status
		text   string
	}{
		{ExitCode(0), "exit code 0"},
		{ExitCode(3), "exit code 3"},
		{KilledBy(9), "killed by signal 9"},
		{StatusOf(core), "killed by signal 11"},
		{StatusOf(3 << 8), "exit code 3"},
	}
	for _, test := range tests {
		code, exited := test.status.Code()
		sig, killed := test.status.Signal()
		if exited == killed || test.status.String() != test.text || test.status.Success() != (exited && code == 0) {
			t.Errorf("%s: %v %d %d", test.text, test.status, code, sig)
		}
	}
	if !StatusOf(core).CoreDumped() {
		t.Error("no core")
	}
}

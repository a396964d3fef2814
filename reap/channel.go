package reap

import (
	"encoding/binary"
	"syscall"
	"time"
)

// A packet is one byte of version and then records; a record is one byte of verb,
// four bytes of length and the fields. A reader skips the verbs that it does not
// know, so either side may be one step newer than the other.
const (
	version    = 1
	headerSize = 5

	// The kernel refuses a packet of about 200 kB or of more than 253 descriptors.
	maxPacket  = 60 << 10
	maxFiles   = 240
	recvBuffer = 64 << 10
	// A spawn request above this sends argv and environment in a memfd.
	maxInline = 48 << 10
)

// The verbs. Numbers are never reused.
const (
	// server to keeper
	verbSpawn    = 1
	verbDeclined = 2 // the client could not even ask: answer for the order's sake
	verbSignal   = 3
	verbAck      = 4
	verbPlan     = 5
	verbReady    = 6
	verbDraining = 7
	verbTook     = 8 // a Signaled was delivered
	verbReexec   = 9
	verbDress    = 10 // a spawn with more than the first keepers knew
	verbWatch    = 11

	// keeper to server
	verbHello       = 32
	verbChild       = 33
	verbKnown       = 34 // the highest run of a key
	verbComplete    = 35 // end of the inventory, on either channel
	verbSpawned     = 36
	verbSpawnFailed = 37
	verbExited      = 38
	verbGroupGone   = 39
	verbSignaled    = 40
	verbReexecuted  = 41
	verbWatched     = 42
	verbWatchFailed = 43

	// channel 2, both ways
	verbKeep    = 64
	verbRelease = 65

	// between two programs of one keeper; see heritage.go
	verbHeir    = 96
	verbSession = 97
	verbUnsent  = 98
	verbHeld    = 99
	verbOrphan  = 100
	verbOrphans = 101
	verbNotice  = 102
	verbNote    = 103
	verbBirth   = 104
	verbKilled  = 105
)

type message interface {
	verb() byte
	fields(c *coder)
}

type (
	// spawnMessage is followed by its descriptors in this order: standard output,
	// standard error, the memfd with the fields of spawnArgs.
	spawnMessage struct {
		Key                       string
		Run                       uint64
		Group, Stdout, Stderr, Fd bool
		Args                      spawnArgs
	}
	spawnArgs struct {
		Path, Dir string
		Argv, Env []string
	}
	declinedMessage struct {
		Key   string
		Run   uint64
		Errno syscall.Errno
	}
	watchMessage struct {
		Key string
		Run uint64
		Pid int
	}
	signalMessage struct {
		Key    string
		Run    uint64
		Signal syscall.Signal
		Scope  Scope
	}
	ackMessage   struct{ runID }
	knownMessage struct{ runID }
	// planMessage is a page of the plan: Reset begins a new one, Complete ends it.
	planMessage struct {
		Reset, Complete bool
		Worst           time.Duration
		Steps           []PlanStep
	}
	tookMessage    struct{ Signal syscall.Signal }
	nameMessage    struct{ Name string }
	keepMessage    struct{ nameMessage }
	releaseMessage struct{ nameMessage }
	helloMessage   struct {
		Stage Stage
		Can   uint64 // see dress.go
	}
	// drainingMessage says with which code the keeper is to exit after the shutdown.
	drainingMessage struct{ Code uint8 }
	emptyMessage    struct{}
	readyMessage    struct{ emptyMessage }
	completeMessage struct{ emptyMessage }
	reexecMessage   struct{ emptyMessage }
)

// A runID names one life of one key.
type runID struct {
	Key string
	Run uint64
}

func (*spawnMessage) verb() byte    { return verbSpawn }
func (*declinedMessage) verb() byte { return verbDeclined }
func (*signalMessage) verb() byte   { return verbSignal }
func (*watchMessage) verb() byte    { return verbWatch }
func (*ackMessage) verb() byte      { return verbAck }
func (*planMessage) verb() byte     { return verbPlan }
func (*readyMessage) verb() byte    { return verbReady }
func (*drainingMessage) verb() byte { return verbDraining }
func (*tookMessage) verb() byte     { return verbTook }
func (*reexecMessage) verb() byte   { return verbReexec }
func (*helloMessage) verb() byte    { return verbHello }
func (*Child) verb() byte           { return verbChild }
func (*knownMessage) verb() byte    { return verbKnown }
func (*completeMessage) verb() byte { return verbComplete }
func (*Spawned) verb() byte         { return verbSpawned }
func (*SpawnFailed) verb() byte     { return verbSpawnFailed }
func (*Exited) verb() byte          { return verbExited }
func (*Watched) verb() byte         { return verbWatched }
func (*WatchFailed) verb() byte     { return verbWatchFailed }
func (*GroupGone) verb() byte       { return verbGroupGone }
func (*Signaled) verb() byte        { return verbSignaled }
func (*Reexecuted) verb() byte      { return verbReexecuted }
func (*keepMessage) verb() byte     { return verbKeep }
func (*releaseMessage) verb() byte  { return verbRelease }

// newMessage is the empty message of a verb; nil when the verb is not known.
func newMessage(verb byte) message {
	switch verb {
	case verbSpawn:
		return new(spawnMessage)
	case verbDress:
		return new(dressMessage)
	case verbDeclined:
		return new(declinedMessage)
	case verbWatch:
		return new(watchMessage)
	case verbSignal:
		return new(signalMessage)
	case verbAck:
		return new(ackMessage)
	case verbPlan:
		return new(planMessage)
	case verbReady:
		return new(readyMessage)
	case verbDraining:
		return new(drainingMessage)
	case verbTook:
		return new(tookMessage)
	case verbReexec:
		return new(reexecMessage)
	case verbHello:
		return new(helloMessage)
	case verbChild:
		return new(Child)
	case verbKnown:
		return new(knownMessage)
	case verbComplete:
		return new(completeMessage)
	case verbSpawned:
		return new(Spawned)
	case verbSpawnFailed:
		return new(SpawnFailed)
	case verbExited:
		return new(Exited)
	case verbWatched:
		return new(Watched)
	case verbWatchFailed:
		return new(WatchFailed)
	case verbGroupGone:
		return new(GroupGone)
	case verbSignaled:
		return new(Signaled)
	case verbReexecuted:
		return new(Reexecuted)
	case verbKeep:
		return new(keepMessage)
	case verbRelease:
		return new(releaseMessage)
	}
	return newBequest(verb)
}

// appendRecord adds a message to a packet, which it begins when it is empty.
func appendRecord(packet []byte, m message) []byte {
	if len(packet) == 0 {
		packet = append(packet, version)
	}
	start := len(packet)
	c := coder{buf: append(packet, m.verb(), 0, 0, 0, 0)}
	m.fields(&c)
	binary.LittleEndian.PutUint32(c.buf[start+1:], uint32(len(c.buf)-start-headerSize))
	return c.buf
}

// decodePacket calls f for each message that can be understood. Descriptors
// belong to records by their order, so the rest of a packet is dropped when one
// record that carries descriptors is damaged; it reports whether all was well.
func decodePacket(packet []byte, f func(message)) bool {
	if len(packet) == 0 {
		return false
	}
	for rest := packet[1:]; len(rest) > 0; {
		if len(rest) < headerSize {
			return false
		}
		verb, size := rest[0], uint64(binary.LittleEndian.Uint32(rest[1:]))
		rest = rest[headerSize:]
		if size > uint64(len(rest)) {
			return false
		}
		m := newMessage(verb)
		if m != nil {
			c := coder{buf: rest[:size], reading: true}
			m.fields(&c)
			if c.bad {
				return false
			}
			f(m)
		}
		rest = rest[size:]
	}
	return true
}

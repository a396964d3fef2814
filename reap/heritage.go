package reap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Heritage is what one program of a keeper leaves to the next, which is executed
// in its place. It is a sealed memfd; its number is in the environment:
//
//	8 bytes  heritageMagic
//	1 byte   heritageFormat
//	4 bytes  CRC-32 of the rest, little endian
//	         a packet as the channels have them, of any length
//
// The rules of the channel hold: records that are not known are skipped, fields are
// only added at the end. A change beyond that is another format; a program reads
// its own and the neighbouring ones.
type Heritage struct {
	// Notes are of the program around the keeper: values by name. Names that are not
	// known are to be passed over, missing ones to be as if nothing were known.
	Notes map[string]string

	rehearsal bool
	sum       uint32
	messages  []message // all others
}

const (
	heritageMagic  = "zinit\x00k\n"
	heritageFormat = 1
	heritageHeader = len(heritageMagic) + 1 + 4
	maxHeritage    = 1 << 28
	// heritageEnv is the variable that has the number of the descriptor.
	heritageEnv = "ZINIT_HERITAGE"
)

// The records. Those for children, exits, run numbers, forwarded signals, the plan
// and the stage are the channel's.
type (
	// heirMessage comes first. Pid is the process that the heritage is for; in a
	// rehearsal it is that of the parent.
	heirMessage struct {
		Pid       int
		Rehearsal bool
	}
	// sessionMessage is the last server. A descriptor that is 0 is not there.
	sessionMessage struct {
		Number          uint64
		Pid             int
		Ready, Draining bool
		Drained, Over   bool
		Asked           bool // for Reexecuted
		Requests, Files int  // channel 1 and 2
		Told            bool // channel 2: everything that was kept was handed out
	}
	unsentMessage struct{ Packet string } // of channel 1
	heldMessage   struct {
		Name   string
		Fd     int
		Unsent bool // the server has not got it yet
	}
	orphansMessage struct{ Count uint64 } // before the orphans
	noticeMessage  struct {
		Kind               uint8
		Pid                int
		Status             Status
		WasReady, Draining bool
	}
	noteMessage struct{ Name, Value string }
	// birthMessage is the last run of a key as it was born.
	birthMessage struct{ Child }
	// killedMessage is a cgroup that was killed as a whole; see killed.go.
	killedMessage struct {
		Dir   string
		Inode uint64
	}
)

func (*heirMessage) verb() byte    { return verbHeir }
func (*sessionMessage) verb() byte { return verbSession }
func (*unsentMessage) verb() byte  { return verbUnsent }
func (*heldMessage) verb() byte    { return verbHeld }
func (*Orphan) verb() byte         { return verbOrphan }
func (*orphansMessage) verb() byte { return verbOrphans }
func (*noticeMessage) verb() byte  { return verbNotice }
func (*noteMessage) verb() byte    { return verbNote }
func (*birthMessage) verb() byte   { return verbBirth }
func (*killedMessage) verb() byte  { return verbKilled }

func newBequest(verb byte) message {
	switch verb {
	case verbHeir:
		return new(heirMessage)
	case verbSession:
		return new(sessionMessage)
	case verbUnsent:
		return new(unsentMessage)
	case verbHeld:
		return new(heldMessage)
	case verbOrphan:
		return new(Orphan)
	case verbOrphans:
		return new(orphansMessage)
	case verbNotice:
		return new(noticeMessage)
	case verbNote:
		return new(noteMessage)
	case verbBirth:
		return new(birthMessage)
	case verbKilled:
		return new(killedMessage)
	}
	return nil
}

func encodeHeritage(list []message) []byte {
	var packet []byte
	for _, m := range list {
		packet = appendRecord(packet, m)
	}
	packet = appendRecord(packet, new(completeMessage))
	text := append([]byte(heritageMagic), heritageFormat)
	text = binary.LittleEndian.AppendUint32(text, crc32.ChecksumIEEE(packet))
	return append(text, packet...)
}

func decodeHeritage(text []byte) (*Heritage, error) {
	if len(text) < heritageHeader || string(text[:len(heritageMagic)]) != heritageMagic {
		return nil, errors.New("it does not begin like one")
	}
	format, packet := int(text[len(heritageMagic)]), text[heritageHeader:]
	if format < heritageFormat-1 || format > heritageFormat+1 {
		return nil, fmt.Errorf("it is of format %d, this program reads format %d", format, heritageFormat)
	}
	h := &Heritage{Notes: make(map[string]string), sum: crc32.ChecksumIEEE(packet)}
	if h.sum != binary.LittleEndian.Uint32(text[heritageHeader-4:]) {
		return nil, errors.New("it is damaged")
	}
	complete, pids := false, make(map[int]bool)
	var wrong error
	ok := decodePacket(packet, func(m message) {
		switch m := m.(type) {
		case *completeMessage:
			complete = true
		case *noteMessage:
			h.Notes[m.Name] = m.Value
		case *heirMessage:
			h.rehearsal = m.Rehearsal
			h.messages = append(h.messages, m)
		case *Child:
			// A signal to any of these would be one to many.
			if m.Pid <= 1 || pids[m.Pid] && !m.onlyInCgroup() {
				wrong = fmt.Errorf("it has a child of the pid %d", m.Pid)
			}
			if m.leader < 0 || m.leader == 1 || m.other < 0 || m.other == 1 {
				wrong = fmt.Errorf("it has a child of the process groups %d and %d", m.leader, m.other)
			}
			pids[m.Pid] = pids[m.Pid] || !m.onlyInCgroup()
			h.messages = append(h.messages, m)
		default:
			h.messages = append(h.messages, m)
		}
	})
	if wrong == nil && (!ok || !complete) {
		wrong = errors.New("it is not whole")
	}
	if wrong != nil {
		return nil, wrong
	}
	return h, nil
}

// onlyInCgroup reports whether nobody is left but in the cgroup: the number of the main
// process may be somebody else's by now, and is not used.
func (c *Child) onlyInCgroup() bool {
	return c.MainGone && c.Cgroup != "" && c.leader == 0 && c.other == 0
}

// find is the first record of a kind, nil if there is none.
func find[M message](h *Heritage) (found M) {
	for _, m := range h.messages {
		if m, ok := m.(M); ok {
			return m
		}
	}
	return found
}

// Inherit reads what an earlier program of this process has left, nil if this is the
// first. It is to be called once, at the start, before anything is forked or opened.
// An error says that there is something that cannot be understood: then the children
// of this process are strangers to it, and the server, if one runs, finds its channel
// closed.
func Inherit() (*Heritage, error) {
	h, err := readHeritage()
	if err != nil {
		closeInherited()
	}
	return h, err
}

func readHeritage() (*Heritage, error) {
	value, there := os.LookupEnv(heritageEnv)
	if !there {
		return nil, nil
	}
	_ = os.Unsetenv(heritageEnv) // it cannot fail for a name that is one
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return nil, nil // somebody else's variable
	}
	text, err := readSealed(fd, maxHeritage)
	if err != nil {
		return nil, fmt.Errorf("cannot read what the program before left in descriptor %d: %w", fd, err)
	}
	unix.Close(fd)
	h, err := decodeHeritage(text)
	if err != nil {
		return nil, fmt.Errorf("cannot understand what the program before left: %w", err)
	}
	heir := find[*heirMessage](h)
	if heir == nil || !heir.Rehearsal && heir.Pid != os.Getpid() {
		return nil, errors.New("cannot take over what a program left: it was left to another process")
	}
	return h, nil
}

// Rehearsal says that this process is not to take over but to show that it could: it
// writes Answer to its standard output and ends with code 0.
func (h *Heritage) Rehearsal() bool { return h.rehearsal }

// Answer is what a program says that has understood: what it has counted.
func (h *Heritage) Answer() string {
	children, exits, keys, held := 0, 0, 0, 0
	for _, m := range h.messages {
		switch m.(type) {
		case *Child:
			children++
		case *Exited:
			exits++
		case *knownMessage:
			keys++
		case *heldMessage:
			held++
		}
	}
	return fmt.Sprintf("zinit takes over %08x: %d children, %d exits, %d keys, %d descriptors, %d notes",
		h.sum, children, exits, keys, held, len(h.Notes))
}

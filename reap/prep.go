package reap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// PrepName is argv[0] of the step that a process takes before it executes its program.
// Its first argument is the number of the descriptor from which TakePrep reads.
const PrepName = "zinit-prep"

// A PrepOrder is what a process is to do to itself, and then to execute.
type PrepOrder struct {
	Path, Dir string
	Argv, Env []string
	User      *Credential // nil: it stays who it is
	Prep      Prep
	// Cgroup is a descriptor of the directory of a cgroup to enter; -1 for none.
	Cgroup int

	report int
}

// prepOrder is how it travels: in a sealed memfd, a byte of version and the fields.
type prepOrder struct {
	Args  spawnArgs
	Enter bool
	User  *Credential
	Prep  *Prep
}

func (o *prepOrder) fields(c *coder) {
	o.Args.fields(c)
	c.flag(&o.Enter)
	optional(c, &o.User, (*Credential).fields)
	optional(c, &o.Prep, (*Prep).fields)
}

func (o *prepOrder) seal() (fd int, err error) {
	c := coder{buf: make([]byte, 1, o.Args.size()+256)}
	c.buf[0] = version
	o.fields(&c)
	return sealed("zinit-prep", c.buf)
}

// TakePrep reads the order of this process, which a keeper has started with it. It
// marks its descriptors so that the program does not inherit them.
func TakePrep(first int) (*PrepOrder, error) {
	if first < firstOwn {
		return nil, errors.New("a keeper starts this by itself")
	}
	p := &PrepOrder{Cgroup: -1, report: first + 1}
	unix.CloseOnExec(first)
	unix.CloseOnExec(p.report)
	text, err := readSealed(first, maxArgs+maxPacket)
	if err != nil {
		return nil, fmt.Errorf("cannot read what to do: %w: a keeper starts this by itself", err)
	}
	o, err := decodePrep(text)
	if err != nil {
		return nil, err
	}
	p.Path, p.Dir, p.Argv, p.Env = o.Args.Path, o.Args.Dir, o.Args.Argv, o.Args.Env
	p.User = o.User
	if o.Prep != nil {
		p.Prep = *o.Prep
	}
	if o.Enter {
		p.Cgroup = first + 2
		unix.CloseOnExec(p.Cgroup)
	}
	return p, nil
}

func decodePrep(text []byte) (*prepOrder, error) {
	if len(text) == 0 || text[0] != version {
		return nil, errors.New("cannot understand what to do: it is of another version")
	}
	o, c := new(prepOrder), coder{buf: text[1:], reading: true}
	o.fields(&c)
	if c.bad {
		return nil, errors.New("cannot understand what to do: it is damaged")
	}
	return o, nil
}

// Executing tells the keeper that all was done and the program is executed next.
func (p *PrepOrder) Executing() { p.say([]byte{executing}) }

// Refused tells the keeper what could not be done, in words for people; the keeper then
// expects this process to end. A bare errno, as the exec answers it, is told without
// words.
func (p *PrepOrder) Refused(err error) {
	text := err.Error()
	errno, bare := err.(syscall.Errno)
	if bare {
		text = ""
	} else if !errors.As(err, &errno) {
		errno = unix.EINVAL
	}
	if len(text) > maxReport/2 {
		text = text[:maxReport/2]
	}
	p.say(append(binary.AppendUvarint([]byte{refusing}, uint64(errno)), text...))
}

// say writes into a pipe that is as good as empty. Nobody is left to be told that it
// failed; that this process ends without a word tells the keeper too.
func (p *PrepOrder) say(text []byte) {
	for {
		if _, err := unix.Write(p.report, text); err != unix.EINTR {
			return
		}
	}
}

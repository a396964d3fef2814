package reap

import (
	"os"

	"golang.org/x/sys/unix"
)

// What a keeper can do, as it tells in its hello. A keeper that is older than a bit
// does not have it.
const (
	canDress = 1 << iota // verbDress
	canWatch             // verbWatch
)

// can is what this keeper can do.
const can = canDress | canWatch

// A dressMessage is a spawn with more than the first keepers knew. Its descriptors are
// those of a spawnMessage and then standard input, the cgroup and the files.
type dressMessage struct {
	spawnMessage
	Dress dress
}

type dress struct {
	Stdin, TTY bool
	Enter      bool   // a cgroup
	Cgroup     string // its path
	Guest      bool   // it is not the run's own
	Files      uint32
	User       *Credential
	Prep       *Prep
}

func (*dressMessage) verb() byte { return verbDress }

func (m *dressMessage) fields(c *coder) {
	m.spawnMessage.fields(c)
	m.Dress.fields(c)
}

func (d *dress) fields(c *coder) {
	c.flag(&d.Stdin)
	c.flag(&d.TTY)
	c.flag(&d.Enter)
	c.str(&d.Cgroup)
	c.flag(&d.Guest)
	field(c, &d.Files)
	optional(c, &d.User, (*Credential).fields)
	optional(c, &d.Prep, (*Prep).fields)
}

func (u *Credential) fields(c *coder) {
	field(c, &u.Uid)
	field(c, &u.Gid)
	repeated(c, &u.Groups, func(g *uint32, c *coder) { field(c, g) })
	c.flag(&u.KeepGroups)
}

func (p *Prep) fields(c *coder) {
	optional(c, &p.Umask, func(v *uint32, c *coder) { field(c, v) })
	optional(c, &p.Nice, func(v *int, c *coder) { field(c, v) })
	optional(c, &p.OOMScoreAdj, func(v *int, c *coder) { field(c, v) })
	optional(c, &p.Capabilities, func(v *uint64, c *coder) { c.num(v) })
	c.flag(&p.NoNewPrivs)
	repeated(c, &p.Rlimits, (*Rlimit).fields)
	c.strs(&p.PidVars)
}

func (r *Rlimit) fields(c *coder) {
	field(c, &r.Resource)
	c.num(&r.Soft)
	c.num(&r.Hard)
}

// maxGroups bounds the supplementary groups of a request, which must fit a packet.
const maxGroups = 4096

// dressed reports whether a keeper that knows plain spawns alone cannot do it.
func (s *Spec) dressed() bool {
	return s.User != nil || s.Stdin != nil || s.TTY || len(s.Files) > 0 || s.Cgroup != nil || s.Prep != nil
}

func (s *Spec) dress() dress {
	d := dress{Stdin: s.Stdin != nil, TTY: s.TTY, Files: uint32(len(s.Files)), User: s.User, Prep: s.Prep}
	if s.Cgroup != nil {
		d.Enter, d.Cgroup, d.Guest = true, s.Cgroup.Name(), s.Guest
	}
	return d
}

// collect makes the descriptors that follow those of the spawnMessage, in addition to
// files; on an error, too, those that it has made are in the result.
func (d *dress) collect(s *Spec, files []int) ([]int, error) {
	if len(s.Files) > MaxFiles || s.User != nil && len(s.User.Groups) > maxGroups {
		return files, unix.E2BIG
	}
	list := append([]*os.File{s.Stdin, s.Cgroup}, s.Files...)
	for i, f := range list {
		if f == nil && i < 2 {
			continue
		}
		fd, err := duplicate(f)
		if err != nil {
			return files, err
		}
		files = append(files, fd)
	}
	return files, nil
}

package ports

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"zinit/supervise/proc"
)

// A Claim is what a service must have for itself before it starts.
type Claim struct {
	Ports []uint16
	// Filters are parts of process names (of at most 15 bytes, as the kernel keeps
	// them), in upper or lower case.
	Filters []string
}

// Empty reports a claim that nobody can be in the way of.
func (c Claim) Empty() bool { return len(c.Ports) == 0 && len(c.Filters) == 0 }

// A Holder is a process in the way of a claim.
type Holder struct {
	Pid   int    // 0: nobody that we can see; a port only
	Start uint64 // as in proc.Process
	Name  string
	// Port and Where ("tcp 0.0.0.0:8080") are what it holds; 0 when it is in the
	// way by its name, which Filter matched.
	Port   uint16
	Where  string
	Filter string
}

// String names the thing and the reason: "port 8080 is in use by nginx (pid 812) on
// tcp 0.0.0.0:8080".
func (h Holder) String() string {
	switch {
	case h.Port == 0:
		return fmt.Sprintf("process %s (pid %d) is running, which the filter %q does not allow beside it", h.Name, h.Pid, h.Filter)
	case h.Pid == 0:
		return fmt.Sprintf("port %d is in use on %s by a process that cannot be seen from here", h.Port, h.Where)
	}
	return fmt.Sprintf("port %d is in use by %s (pid %d) on %s", h.Port, h.Name, h.Pid, h.Where)
}

// Ours reports a process that belongs to this zinit or to one of its services. It
// gets the tree that the process is in.
type Ours func(*proc.Tree, proc.Process) bool

// Look returns those that stand in the way of a claim, sorted by pid: of a port
// everybody who holds it (several processes may share a socket) but those that are
// ours by their name. Without /proc the error is proc.ErrNoProc.
func Look(fs proc.FS, c Claim, ours Ours) ([]Holder, error) {
	if c.Empty() {
		return nil, nil
	}
	root := fs.Root
	if root == "" {
		root = "/proc"
	}
	var held []socket
	if len(c.Ports) > 0 {
		var err error
		if held, err = sockets(root, c.Ports); err != nil {
			return nil, fmt.Errorf("cannot see who holds a port: %w", err)
		}
		if len(held) == 0 && len(c.Filters) == 0 {
			return nil, nil // the usual case reads no process at all
		}
	}
	all, err := fs.All()
	if err != nil {
		return nil, err
	}
	found := owners(root, all, held)
	tree := proc.NewTree(all)
	for _, p := range all {
		if f, ok := matches(c.Filters, p); ok && !ours(tree, p) {
			found = append(found, Holder{Pid: p.Pid, Start: p.Start, Name: p.Name, Filter: f})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].Pid < found[j].Pid })
	return found, nil
}

// matches reports the filter that a process's name matches. Threads of the kernel
// and what has ended already are never meant.
func matches(filters []string, p proc.Process) (filter string, ok bool) {
	if p.Kernel || p.State == 'Z' || p.State == 'X' {
		return "", false
	}
	name := strings.ToLower(p.Name)
	for _, f := range filters {
		if f != "" && strings.Contains(name, strings.ToLower(f)) {
			return f, true
		}
	}
	return "", false
}

// owners finds the processes that have the sockets open. A socket whose owner
// cannot be found has a Holder without a pid.
func owners(root string, all []proc.Process, held []socket) (found []Holder) {
	if len(held) == 0 {
		return nil
	}
	byLink := map[string]*socket{}
	seen := map[uint64]bool{}
	for i := range held {
		byLink["socket:["+strconv.FormatUint(held[i].inode, 10)+"]"] = &held[i]
	}
	for _, p := range all {
		for _, s := range open(root, p.Pid, byLink) {
			seen[s.inode] = true
			found = append(found, holder(p, s))
		}
	}
	for i := range held {
		if s := &held[i]; !seen[s.inode] {
			found = append(found, holder(proc.Process{}, s))
		}
	}
	return found
}

func holder(p proc.Process, s *socket) Holder {
	return Holder{Pid: p.Pid, Start: p.Start, Name: p.Name, Port: s.local.Port(), Where: s.proto + " " + s.local.String()}
}

// open returns which of the sockets a process has open, each once. A process that
// may not be looked into, or that has ended meanwhile, has none.
func open(root string, pid int, byLink map[string]*socket) (found []*socket) {
	dir := root + "/" + strconv.Itoa(pid) + "/fd"
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(256)
		for _, name := range names {
			link, _ := os.Readlink(dir + "/" + name) // closed meanwhile: empty
			if s := byLink[link]; s != nil && !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
		if err != nil || len(names) == 0 {
			return found
		}
	}
}

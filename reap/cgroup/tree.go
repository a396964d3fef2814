package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	treePrefix  = "zinit-"
	leafName    = "keeper"
	groupSuffix = ".svc"
	// maxTrees bounds how many trees of dead keepers with the same pid are passed over:
	// what they left behind still runs.
	maxTrees = 100
)

// controllers are those that limits need.
var controllers = [...]string{"cpu", "memory", "pids"}

// Enter makes a tree in the cgroup that this process was started in, and moves this
// process into it. It is for the keeper, once, before the server is started; a second
// call finds that it has been done. The error says why there is no tree; then
// everything stays where it is.
func Enter() error {
	dir, err := ownDir()
	if err != nil {
		return err
	}
	return enter(dir, os.Getpid())
}

func enter(dir string, pid int) error {
	if _, ok := treeOf(dir, pid); ok {
		return nil
	}
	sweep(dir)
	root, err := moveIn(dir, pid)
	for range maxSwept {
		if !missing(err) {
			break
		}
		root, err = moveIn(dir, pid) // another keeper swept while this one was on its way in
	}
	if err != nil {
		return err
	}
	// Whether a controller could be handed down shows in the files of the groups.
	for _, name := range controllers {
		for _, dir := range []string{dir, root} {
			_ = write(filepath.Join(dir, "cgroup.subtree_control"), "+"+name)
		}
	}
	return nil
}

// maxSwept bounds how often a tree is made anew that others take for a dead keeper's.
const maxSwept = 10

// moveIn makes a tree and moves a process into its leaf.
func moveIn(dir string, pid int) (root string, err error) {
	if root, err = makeTree(dir, pid); err != nil {
		return "", err
	}
	leaf := filepath.Join(root, leafName)
	if err = unix.Mkdir(leaf, 0o755); err == nil {
		err = write(filepath.Join(leaf, "cgroup.procs"), strconv.Itoa(pid))
	}
	if err != nil {
		_ = discard(root) // what is left of it is swept by the next keeper
		return "", fmt.Errorf("cannot move into a cgroup of its own: %w", err)
	}
	return root, nil
}

// makeTree makes the directory of a tree. One that exists is a dead keeper's, or that
// of another PID namespace.
func makeTree(dir string, pid int) (root string, err error) {
	name := treePrefix + strconv.Itoa(pid)
	for n := range maxTrees {
		root = filepath.Join(dir, name)
		if n > 0 {
			root += "-" + strconv.Itoa(n+1)
		}
		if err = unix.Mkdir(root, 0o755); err != unix.EEXIST {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("cannot make cgroup %s: %w", root, err)
	}
	return root, nil
}

// Leave moves this process back to where Enter found it and removes the tree, as far
// as nobody is left in it. It is for a keeper that ends.
func Leave() error {
	dir, err := ownDir()
	if err != nil {
		return err
	}
	return leave(dir, os.Getpid())
}

func leave(dir string, pid int) error {
	root, ok := treeOf(dir, pid)
	if !ok {
		return nil
	}
	// A group that hands controllers down takes nobody in. Others may need them by now,
	// so they stay; then the next keeper that starts there removes the tree.
	if err := write(filepath.Join(filepath.Dir(root), "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		return err
	}
	return discard(root)
}

// treeOf is the tree of a keeper, if a group is the leaf that it has made for itself.
func treeOf(dir string, keeper int) (root string, ok bool) {
	root, leaf := filepath.Split(dir)
	root = filepath.Clean(root)
	rest, ok := strings.CutPrefix(filepath.Base(root), treePrefix+strconv.Itoa(keeper))
	return root, ok && leaf == leafName && (rest == "" || rest[0] == '-')
}

// sweep removes the trees of dead keepers in which nobody is left.
func sweep(dir string) {
	for _, below := range groupsBelow(dir) {
		if !strings.HasPrefix(filepath.Base(below), treePrefix) {
			continue
		}
		if lives, err := Populated(below); err == nil && !lives {
			_ = discard(below) // one that another keeper is on its way into may go: it makes another
		}
	}
}

// discard removes a group with those below it, if nobody is in any of them.
func discard(dir string) error {
	err := unix.Rmdir(dir)
	if err == unix.EBUSY || err == unix.ENOTEMPTY {
		if lives, unknown := Populated(dir); !lives && unknown == nil {
			for _, below := range groupsBelow(dir) {
				if err := discard(below); err != nil {
					return err
				}
			}
			err = unix.Rmdir(dir)
		}
	}
	if err != nil && !missing(err) {
		return fmt.Errorf("cannot remove cgroup %s: %w", dir, err)
	}
	return nil
}

// A Tree is where the groups of services are. Its methods may be called from any
// goroutine; those for one group must not be called at the same time.
type Tree struct{ root string }

// Find is the tree that the parent of this process, the keeper, has made. The error
// says why there is none.
func Find() (*Tree, error) {
	dir, err := ownDir()
	if err != nil {
		return nil, err
	}
	return find(dir, os.Getppid())
}

func find(dir string, keeper int) (*Tree, error) {
	root, ok := treeOf(dir, keeper)
	if ok {
		return &Tree{root}, nil
	}
	if unix.Access(dir, unix.W_OK) != nil {
		return nil, fmt.Errorf("the cgroup %s cannot be written by this user", dir)
	}
	return nil, errors.New("the keeper has made no cgroups")
}

// At is the tree at a directory that is there already.
func At(root string) *Tree { return &Tree{root} }

// Root is the directory of the tree.
func (t *Tree) Root() string { return t.root }

// Path is the directory of a service's group, there or not.
func (t *Tree) Path(service string) string { return filepath.Join(t.root, service+groupSuffix) }

// Group makes the group of a service, unless it is there already, and opens its
// directory: processes can be born in it. fresh says that it was not there. The caller
// owns the file.
func (t *Tree) Group(service string) (dir *os.File, fresh bool, err error) {
	path := t.Path(service)
	err = unix.Mkdir(path, 0o755)
	if err != nil && err != unix.EEXIST {
		return nil, false, fmt.Errorf("cannot make cgroup %s: %w", path, err)
	}
	fd, open := open(path, unix.O_RDONLY|unix.O_DIRECTORY)
	if open != nil {
		return nil, false, open
	}
	return os.NewFile(uintptr(fd), path), err == nil, nil
}

// Remove removes the group of a service with all that the service has made below it.
// It is an error if a process lives there.
func (t *Tree) Remove(service string) error { return discard(t.Path(service)) }

// Services lists the services that have a group, in no order.
func (t *Tree) Services() (names []string) {
	for _, dir := range groupsBelow(t.root) {
		if name, ok := strings.CutSuffix(filepath.Base(dir), groupSuffix); ok {
			names = append(names, name)
		}
	}
	return names
}

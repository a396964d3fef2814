package reap

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Killed is the cgroups that were killed as a whole. Kernels since 6.14 end, at its
// birth, whatever clone3 makes in such a cgroup from then on: they compare with how
// often the parent's cgroup was killed, not this one. A process that enters it lives.
// A directory that was made anew under the same path is another cgroup, by its number.
type killed struct {
	mu     sync.Mutex
	inodes map[string]uint64 // guarded by mu; by path
}

// note is called before the kill.
func (k *killed) note(dir string) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) == nil {
		k.put(dir, st.Ino)
	}
}

func (k *killed) put(dir string, inode uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inodes == nil {
		k.inodes = make(map[string]uint64)
	}
	k.inodes[dir] = inode
}

// holds reports whether the cgroup at a path, which is open as fd, was killed.
func (k *killed) holds(dir string, fd int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	inode, ok := k.inodes[dir]
	if !ok {
		return false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Ino == inode {
		return true
	}
	delete(k.inodes, dir)
	return false
}

func (k *killed) bequest(list []message) []message {
	k.mu.Lock()
	defer k.mu.Unlock()
	for dir, inode := range k.inodes {
		list = append(list, &killedMessage{dir, inode})
	}
	return list
}

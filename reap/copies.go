package reap

import (
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// copyTime bounds how long Copies waits for the holder, for each page.
const copyTime = 2 * time.Second

// Copies are copies of the kept descriptors whose names begin with prefix, for the
// keeper's own use while there is no server. An error says that there are none.
func (k *Keeper) Copies(prefix string) (map[string]*os.File, error) {
	mine, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer unix.Close(mine)
	defer unix.Close(theirs)
	recv := &receiver{fd: mine, flags: unix.MSG_DONTWAIT}
	copies := map[string]*os.File{}
	for after := ""; ; {
		var names []string
		var failed error
		err := k.kept.errand([]int{theirs}, copyTime, func(h *holder, files []int) {
			names, failed = h.copyPage(prefix, after, files)
		})
		if err == nil {
			err = failed
		}
		if err == nil && len(names) == 0 {
			return copies, nil
		}
		if err == nil {
			err = receiveCopies(recv, names, copies)
		}
		if err != nil {
			for _, f := range copies {
				f.Close()
			}
			return nil, err
		}
		after = names[len(names)-1]
	}
}

// copyPage sends the next descriptors over the one in files, and returns their names.
func (h *holder) copyPage(prefix, after string, files []int) (names []string, err error) {
	defer (&packet{files: files}).close()
	if len(files) == 0 {
		return nil, unix.EMFILE
	}
	for name := range h.held {
		if strings.HasPrefix(name, prefix) && name > after {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = names[:min(len(names), maxFiles)]
	p := packet{buf: []byte{version}}
	for _, name := range names {
		p.files = append(p.files, h.held[name])
	}
	if len(names) == 0 {
		return nil, nil
	}
	return names, send(files[0], &p, unix.MSG_DONTWAIT)
}

func receiveCopies(recv *receiver, names []string, copies map[string]*os.File) error {
	_, files, lost, err := recv.next()
	if err != nil {
		return err
	}
	if lost || len(files) != len(names) {
		(&packet{files: files}).close()
		return unix.EMFILE
	}
	for i, name := range names {
		copies[name] = os.NewFile(uintptr(files[i]), name)
	}
	return nil
}

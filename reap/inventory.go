package reap

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// readInventory reads what the keeper says first, and what it can do. What it tells
// after that is early.
func readInventory(recv *receiver, inv *Inventory, early *[]Event) (can uint64, err error) {
	for complete := false; !complete; {
		data, files, _, err := recv.next()
		if err != nil {
			return 0, err
		}
		(&packet{files: files}).close()
		if data[0] != version {
			return 0, fmt.Errorf("it speaks version %d of the channel, this program version %d", data[0], version)
		}
		decodePacket(data, func(m message) {
			if complete {
				*early = appendEvent(*early, m)
				return
			}
			switch m := m.(type) {
			case *helloMessage:
				inv.Stage, can = m.Stage, m.Can
			case *Child:
				inv.Children = append(inv.Children, *m)
			case *Exited:
				inv.Exits = append(inv.Exits, *m)
			case *knownMessage:
				inv.Runs[m.Key] = m.Run
			case *completeMessage:
				complete = true
			}
		})
	}
	return can, nil
}

func readKept(fd int, kept map[string]*os.File) error {
	recv := &receiver{fd: fd}
	for complete := false; !complete; {
		data, files, lost, err := recv.next()
		if err != nil {
			return err
		}
		if lost {
			return unix.EMFILE
		}
		decodePacket(data, func(m message) {
			switch m := m.(type) {
			case *keepMessage:
				if len(files) > 0 {
					kept[m.Name] = os.NewFile(uintptr(files[0]), m.Name)
					files = files[1:]
				}
			case *completeMessage:
				complete = true
			}
		})
		(&packet{files: files}).close()
	}
	return nil
}

package pump

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestDiskIsFullInTheMidstOfALine: what could be written of it is in the store, and
// the rest, no more and no less, is lost.
func TestDiskIsFullInTheMidstOfALine(t *testing.T) {
	const room = 2 * pageSize
	ways := map[string]func(st *Store, p *Pump, text string){
		"by no pipe": func(st *Store, _ *Pump, text string) { st.Add(Syslog, text[:len(text)-1]) },
		"copied": func(st *Store, p *Pump, text string) {
			st.mu.Lock()
			st.copies = true
			st.mu.Unlock()
			w, _ := pipe(t, p, st, Stdout, nil)
			write(t, w, text)
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			p, st := startPump(t, "", time.Minute, nil), NewStore("", "web")
			t.Cleanup(st.Close)
			st.Append("before")
			small := fullAt(t, room)
			st.mu.Lock()
			begun := st.size
			good := st.log
			st.log = small
			st.mu.Unlock()
			text := strings.Repeat("x", 5*pageSize) + "\n"
			way(st, p, text)
			eventually(t, "the rest is lost", func() bool {
				st.mu.Lock()
				defer st.mu.Unlock()
				return st.size == room && st.lost == begun+int64(len(text))-room
			})
			good.Close()
		})
	}
}

// fullAt is a file that has so many bytes and never more.
func fullAt(t *testing.T, size int64) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("full", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "full")
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW); err != nil {
		t.Fatal(err)
	}
	return f
}

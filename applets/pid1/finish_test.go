package pid1

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A kernel that refuses is asked again, and never left by its process 1.
func TestAMachineIsPutAwayAndThenTheKernelIsAsked(t *testing.T) {
	for _, c := range []struct {
		goal goal
		want []string
		says string
	}{
		{powerOff, []string{"down", "powering off"}, "zinit: powering off\nzinit: cannot end the machine: operation not permitted"},
		{halted, []string{"down", "halting"}, "switch it off by hand"},
		{kexec, []string{"down", "starting the kernel that was loaded", "rebooting"}, "cannot start another kernel: operation not permitted: rebooting"},
	} {
		var out bytes.Buffer
		var did []string
		k := &keeper{life: life{role: machine}, console: newConsole(&out)}
		k.machine = machinery{
			down:  func(time.Time, func(string, ...any)) { did = append(did, "down") },
			power: func(g goal) error { did = append(did, g.String()); return unix.EPERM },
		}
		k.finish(finish{goal: c.goal})
		k.console.flush(time.Minute)
		if k.over || !slices.Equal(did, c.want) || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v: over %v, did %q, said %s", c.goal, k.over, did, &out)
		}
	}
}

func TestAnotherRootHasToBeOne(t *testing.T) {
	for _, c := range []struct{ words, why string }{
		{"", "no new root was named"},
		{"/proc sbin/init", "has to begin with a slash"},
		{t.TempDir(), "is not the root of a mounted file system"},
		{"/proc /no/such/init", "there is no init"},
	} {
		if _, err := newRootOf(strings.Fields(c.words)); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%q: %v, want %q", c.words, err, c.why)
		}
	}
	r, err := newRootOf([]string{"/proc/", "/version", "single"})
	if err != nil || r.dir != "/proc" || !slices.Equal(r.argv, []string{"/version", "single"}) {
		t.Errorf("%+v %v", r, err)
	}
}

func TestWhatIsMemoryIsEmptied(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"/a/b/c", "/a/d", "/e"} {
		if err := unix.Mkdir(dir+"/a", 0o755); err != nil && err != unix.EEXIST {
			t.Fatal(err)
		}
		if err := unix.Mkdir(dir+"/a/b", 0o755); err != nil && err != unix.EEXIST {
			t.Fatal(err)
		}
		if fd, err := unix.Open(dir+name, unix.O_CREAT|unix.O_WRONLY, 0o600); err != nil {
			t.Fatal(err)
		} else {
			unix.Close(fd)
		}
	}
	if err := unix.Symlink("/etc", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	empty(fd)
	var st unix.Stat_t
	for _, name := range []string{"/a", "/e", "/link"} {
		if err := unix.Lstat(dir+name, &st); err != unix.ENOENT {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := unix.Lstat("/etc/passwd", &st); err != nil {
		t.Fatal(err)
	}
}

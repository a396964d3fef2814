package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheKernelsCommandLine(t *testing.T) {
	for _, c := range []struct {
		text string
		want Cmdline
	}{
		{"", Cmdline{}},
		{"BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro\n", Cmdline{}},
		{"quiet single", Cmdline{Quiet: true, Single: true}},
		{"S", Cmdline{Single: true}},
		{"emergency zinit.debug", Cmdline{Emergency: true, LogLevel: "debug"}},
		{"zinitdebug=1", Cmdline{LogLevel: "debug"}},
		{"zinitdebug=0", Cmdline{}},
		{"zinit.log=warn", Cmdline{LogLevel: "warn"}},
		{"zinit.log=loud", Cmdline{Wrong: "zinit.log=loud"}},
		{"zinit.logs=info zinitlog", Cmdline{Wrong: "zinit.logs=info"}},
		{"zinit.debug zinit.log=error", Cmdline{LogLevel: "error"}},
		{`append="quiet single" hostname=box`, Cmdline{Hostname: "box"}},
		{"systemd.hostname=\"a b\"", Cmdline{Hostname: "a b"}},
		{`quiet"`, Cmdline{Quiet: true}},
	} {
		if got := ParseCmdline(c.text); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, got, c.want)
		}
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(`root=x "a b" zinit.log=info`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range words(text) {
			if w == "" || strings.Contains(w, `"`) {
				t.Errorf("word %q", w)
			}
		}
		ParseCmdline(text)
	})
}

const mountinfo = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 24 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
26 22 0:5 / /dev rw - devtmpfs udev rw
27 26 0:24 / /dev/shm rw - tmpfs tmpfs rw
28 22 0:25 / /run rw - tmpfs tmpfs rw
29 22 8:2 / /home rw - ext4 /dev/sda2 rw
30 29 8:3 / /home/a\040b rw master:3 - xfs /dev/sda3 rw
31 22 0:30 / /tmp rw - tmpfs tmpfs rw
32 28 0:40 / /run/user/0 rw - tmpfs tmpfs rw
33 22 0:50 / /net rw - nfs4 srv:/x rw
broken line
`

func TestTheLastThatWasMountedIsUnmountedFirst(t *testing.T) {
	want := []string{"/net", "/run/user/0", "/tmp", "/home/a b", "/home"}
	if got := toUnmount([]byte(mountinfo)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := toUnmount(nil); len(got) != 0 {
		t.Errorf("of nothing: %q", got)
	}
}

func TestSwapAreas(t *testing.T) {
	text := "Filename\t\t\tType\t\tSize\tUsed\tPriority\n/dev/vda2 partition 1048572 0 -2\n/swap\\040file file 9 0 -3\n"
	want := []string{"/dev/vda2", "/swap file"}
	if got := swapAreas([]byte(text)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{`a\040b`: "a b", `\134`: `\`, `\9`: `\9`, `x\04`: `x\04`, `\777`: `\777`, "": ""} {
		if got := unescape(in); got != want {
			t.Errorf("unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAHostNameIsTheFirstLineThatIsNoComment(t *testing.T) {
	for in, want := range map[string]string{"box\n": "box", "# a\n\n  box \nother": "box", "": "", "#": ""} {
		if got := firstWord([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A seed is used once, and another is left for the next life.
func TestASeedIsNotUsedTwice(t *testing.T) {
	root := t.TempDir()
	if err := restoreSeed(root); err != nil {
		t.Fatalf("without a seed: %v", err)
	}
	if err := saveSeed(root); err != nil {
		t.Skip("the kernel has no randomness:", err)
	}
	path := filepath.Join(root, seedFile)
	first, err := os.ReadFile(path)
	if err != nil || len(first) != seedSize {
		t.Fatalf("%d bytes, %v", len(first), err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if err := os.MkdirAll(root+"/dev", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := restoreSeed(root); err != nil {
		t.Fatal(err)
	}
	stirred, err := os.ReadFile(root + "/dev/urandom")
	if err != nil || !slices.Equal(stirred, first) {
		t.Errorf("stirred in %d bytes that are not the seed (%v)", len(stirred), err)
	}
	if second, err := os.ReadFile(path); err != nil || slices.Equal(first, second) {
		t.Errorf("the seed is still the same (%v)", err)
	}
}

func TestEveryStepIsNamedAndParentsComeFirst(t *testing.T) {
	seen := map[string]bool{"/": true, "/sys/fs": true, "/sys/kernel": true}
	for _, m := range mounts {
		if up := filepath.Dir(m.at); !seen[up] {
			t.Errorf("%s is mounted before %s", m.at, up)
		}
		seen[m.at] = true
	}
	for _, s := range append(mountSteps(""), steps("", Cmdline{})...) {
		if s.Name == "" || s.Do == nil {
			t.Errorf("step %+v", s)
		}
	}
}

func TestDownEndsAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		hang := make(chan struct{})
		defer close(hang)
		within(time.Now().Add(20*time.Millisecond), func(begin func(string)) {
			begin("unmounting /near")
			begin("unmounting /far")
			<-hang
		}, func(format string, args ...any) { said = append(said, format+args[0].(string)) })
		if len(said) != 1 || !strings.HasSuffix(said[0], "unmounting /far") {
			t.Errorf("said %q", said)
		}
	})
}

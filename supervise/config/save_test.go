package config

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// files is what is in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[e.Name()] = string(text)
	}
	return texts
}

func TestSaveAndUnlinkFindTheFileByTheNameInside(t *testing.T) {
	web := fromJSON(t, `{"service":{"name":"web","exec":"new"}}`)
	edited := "# c\n[service]\nname = \"web\"\nexec = \"new\"\n"
	old := "# c\n[service]\nname = \"web\"\nexec = \"old\"\n"
	other := serviceText("other")
	for name, c := range map[string]struct {
		files             map[string]string
		path, kept, holds string
		fails             bool
	}{
		"none":               {map[string]string{"other.toml": other}, "web.toml", "", string(Render(web)), false},
		"its name":           {map[string]string{"web.toml": old, "other.toml": other}, "web.toml", "", edited, false},
		"another name":       {map[string]string{"10-www.toml": old, "other.toml": other}, "10-www.toml", "", edited, false},
		"escaped":            {map[string]string{"10-www.toml": "[service]\nname = \"w\\u0065b\"\nexec = \"new\"\n"}, "10-www.toml", "", "[service]\nname = \"w\\u0065b\"\nexec = \"new\"\n", false},
		"a lost comment":     {map[string]string{"web.toml": old + "dir = \"/\" # why\n"}, "web.toml", "web.toml~", edited, false},
		"broken":             {map[string]string{"10-www.toml": "[service]\nname = \"web\"\n"}, "10-www.toml", "10-www.toml~", string(Render(web)), false},
		"garbage":            {map[string]string{"web.toml": "\xff"}, "web.toml", "web.toml~", string(Render(web)), false},
		"a target":           {map[string]string{"web.toml": "[target]\nname = \"web\"\n"}, "web.toml", "web.toml~", string(Render(web)), false},
		"taken by another":   {map[string]string{"web.toml": other}, "web.toml", "", other, true},
		"only the file name": {map[string]string{"web.toml": "[service]\nname = 5\nexec = \"x\"\n"}, "web.toml", "web.toml~", string(Render(web)), false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				writeFile(t, filepath.Join(dir, file), text)
			}
			path, kept, err := Save(dir, web)
			if kept != "" {
				kept = filepath.Base(kept)
			}
			if path != filepath.Join(dir, c.path) || kept != c.kept || (err != nil) != c.fails {
				t.Fatalf("got %s, %s, %v", path, kept, err)
			}
			now := files(t, dir)
			if now[c.path] != c.holds || kept != "" && now[kept] != c.files[c.path] {
				t.Errorf("the files are %q", now)
			}
			want := len(c.files)
			if c.files[c.path] == "" {
				want++
			}
			if kept != "" {
				want++
			}
			if len(now) != want {
				t.Errorf("the files are %q", now)
			}
			removed, err := Unlink(dir, "web")
			if c.fails {
				path = ""
			}
			if _, there := files(t, dir)[c.path]; removed != path || err != nil || there != c.fails {
				t.Errorf("removed %q, %v: %q", removed, err, files(t, dir))
			}
		})
	}
}

// byHand is a file that a person wrote, and byHandAfter what it is when edited.
const (
	byHand      = "# by hand\n[service]\nname = \"web\"\nexec = \"old\" # for ever\n"
	byHandAfter = "# by hand\n[service]\nname = \"web\"\nexec = \"new\" # for ever\n"
	broken      = "[service]\nname = \"web\"\n"
)

func TestSaveKeepsModeOwnerAndLink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	target, path := filepath.Join(elsewhere, "real"), filepath.Join(dir, "www.toml")
	writeFile(t, target, byHand)
	err := errors.Join(os.Chmod(target, 0o640), os.Symlink(target, path))
	if os.Geteuid() == rootID {
		err = errors.Join(err, os.Chown(target, 0, stranger))
	}
	if err != nil {
		t.Fatal(err)
	}
	web := fromJSON(t, `{"service":{"name":"web","exec":"new"}}`)
	if got, kept, err := Save(dir, web); got != path || kept != "" || err != nil {
		t.Fatalf("%s, %s, %v", got, kept, err)
	}
	if to, err := os.Readlink(path); to != target || err != nil {
		t.Errorf("it is a link to %s no more: %v", target, err)
	}
	if now := files(t, elsewhere); now["real"] != byHandAfter || len(now) != 1 {
		t.Errorf("the files are %q", now)
	}
	st, err := os.Stat(target)
	if err != nil || st.Mode() != 0o640 || os.Geteuid() == rootID && st.Sys().(*syscall.Stat_t).Gid != stranger {
		t.Errorf("%v, %v", st, err)
	}
	before := st
	if _, _, err := Save(dir, web); err != nil {
		t.Error(err)
	}
	if st, err = os.Stat(target); err != nil || !os.SameFile(st, before) {
		t.Errorf("it was written without need: %v", err)
	}
	if removed, err := Unlink(dir, "web"); removed != path || err != nil {
		t.Errorf("removed %s, %v", removed, err)
	}
	if len(files(t, dir)) != 0 || len(files(t, elsewhere)) != 1 {
		t.Error("not the link alone was removed")
	}
}

func TestNewFilesAreReadByThoseWhoMayLookIntoTheDirectory(t *testing.T) {
	for dirMode, want := range map[os.FileMode]os.FileMode{0o755: 0o644, 0o750: 0o640, 0o700: 0o600, 0o711: 0o600} {
		dir := t.TempDir()
		if err := os.Chmod(dir, dirMode); err != nil {
			t.Fatal(err)
		}
		path, _, err := Save(dir, fromJSON(t, `{"service":{"name":"web","exec":"new"}}`))
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode()&^want != 0 || st.Mode()&0o600 != 0o600 {
			t.Errorf("in a directory of mode %o: %v, %v", dirMode, st.Mode(), err)
		}
	}
}

// Faults 6 and 7: whatever keeps a file from being written, the old one is whole,
// and nothing is left beside it.
func TestWhatCannotBeWrittenLeavesTheOldFile(t *testing.T) {
	web := `{"service":{"name":"web","exec":"new"}}`
	for name, c := range map[string]struct {
		old   string
		spoil func(t *testing.T, dir string) (mend func())
		want  error
		text  string
	}{
		"no room":               {byHand, fileLimit(8), syscall.EFBIG, ""},
		"no room, new":          {"", fileLimit(8), syscall.EFBIG, ""},
		"no room to keep it":    {broken, fileLimit(8), syscall.EFBIG, "cannot keep what it was"},
		"no room for more":      {broken, fileLimit(64), syscall.EFBIG, ""},
		"a full disk":           {byHand, fullDisk, syscall.ENOSPC, ""},
		"a full disk, new":      {"", fullDisk, syscall.ENOSPC, ""},
		"a read-only directory": {byHand, readOnly, syscall.EROFS, ""},
		"read-only, broken":     {broken, readOnly, syscall.EROFS, "cannot keep what it was"},
		"no directory": {"", func(t *testing.T, dir string) func() {
			if err := os.Remove(dir); err != nil {
				t.Fatal(err)
			}
			return func() { _ = os.Mkdir(dir, 0o755) }
		}, syscall.ENOENT, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.old != "" {
				writeFile(t, filepath.Join(dir, "web.toml"), c.old)
			}
			mend := c.spoil(t, dir)
			if mend == nil {
				return // a child has done it
			}
			path, kept, err := Save(dir, fromJSON(t, web))
			now := map[string]string{}
			if _, e := os.Stat(dir); e == nil {
				now = files(t, dir)
			}
			mend()
			if path != filepath.Join(dir, "web.toml") || kept != "" || !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %s, %s, %v", path, kept, err)
			}
			if strings.Contains(fmt.Sprint(err), dir+"/.") {
				t.Errorf("%v: nobody knows that file", err)
			}
			delete(now, "ballast")
			if c.old == "" && len(now) > 0 || c.old != "" && (now["web.toml"] != c.old || len(now) != 1) {
				t.Errorf("the files are %q", now)
			}
		})
	}
}

// limited is set in the child whose files must stay small: a limit would be in the
// way of everything else that tests write.
const limited = "ZINIT_TEST_LIMITED"

// fileLimit has files be no larger than that.
func fileLimit(size uint64) func(*testing.T, string) func() {
	return func(t *testing.T, _ string) func() {
		if os.Getenv(limited) == "" {
			child := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$")
			child.Env = append(os.Environ(), limited+"=yes")
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
			return nil
		}
		var was syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// mount puts another file system over a directory, with the files that are there,
// until the test ends.
func mount(t *testing.T, dir, kind, options string) {
	t.Helper()
	if os.Geteuid() != rootID {
		t.Skip("needs root to mount file systems")
	}
	texts := files(t, dir)
	if err := syscall.Mount("small", dir, kind, 0, options); err != nil {
		t.Skipf("cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	for name, text := range texts {
		writeFile(t, filepath.Join(dir, name), text)
	}
}

func fullDisk(t *testing.T, dir string) func() {
	mount(t, dir, "tmpfs", "size=64k,mode=755")
	f, err := os.Create(filepath.Join(dir, "ballast"))
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {}
}

func readOnly(t *testing.T, dir string) func() {
	mount(t, dir, "tmpfs", "size=64k,mode=755")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	return func() {}
}

// Fault 29.
func TestAFileThatIsSavedIsReadOldOrNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "web.toml")
	writeFile(t, path, byHand)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			s, _, err := FromJSON([]byte([]string{`{"service":{"name":"web","exec":"new"}}`, `{"service":{"name":"web","exec":"old"}}`}[i%2]))
			if err == nil {
				_, _, err = Save(dir, s)
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 100 {
		set, err := LoadDir(dir)
		if err != nil || len(set.Services) != 1 || len(set.Problems) > 0 {
			t.Fatalf("%v, %v", set, err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if now := files(t, dir); len(now) != 1 || now["web.toml"] != byHand && now["web.toml"] != byHandAfter {
		t.Errorf("the files are %q", now)
	}
}

func TestUnlinkRemovesNothingElse(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(filepath.Dir(dir), "outside.toml")
	writeFile(t, outside, serviceText("outside"))
	for _, name := range []string{"old.yaml", "older.yml", "both.yaml", "both.toml", "other.toml", "web.toml~", ".#lock.toml"} {
		writeFile(t, filepath.Join(dir, name), serviceText(strings.TrimSuffix(name, ".toml")))
	}
	if err := os.Mkdir(filepath.Join(dir, "folder.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		fails      bool
	}{
		{"old", "old.yaml", false}, {"older", "older.yml", false}, {"both", "both.toml", false}, {"none", "", false}, {"web", "", false},
		{"lock", "", false}, {"../outside", "", true}, {"", "", true}, {"folder", "folder.toml", true}, {"other", "other.toml", false},
	} {
		want := ""
		if c.path != "" {
			want = filepath.Join(dir, c.path)
		}
		if path, err := Unlink(dir, c.name); path != want || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v", c.name, path, err)
		}
	}
	entries, _ := os.ReadDir(dir) // it is there
	if fmt.Sprint(entries) != "[- .#lock.toml d folder.toml/ - web.toml~]" {
		t.Errorf("left are %v", entries)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if path, err := Unlink(filepath.Join(dir, "none"), "web"); path != "" || err != nil {
		t.Errorf("in no directory: %q, %v", path, err)
	}
	t.Run("read-only", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "web.toml"), byHand)
		readOnly(t, dir)
		if path, err := Unlink(dir, "web"); !strings.HasSuffix(path, "/web.toml") || err != syscall.EROFS {
			t.Errorf("%q, %v", path, err)
		}
	})
}

// A service that has no file yet is looked for in all of them.
func BenchmarkSaveAmong1000(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		name := fmt.Sprintf("service-%05d", i)
		writeFile(b, filepath.Join(dir, name+".toml"), realistic(name))
	}
	s := fromJSON(b, `{"service":{"name":"web","exec":"new"}}`)
	for b.Loop() {
		path, _, err := Save(dir, s)
		if err == nil {
			err = os.Remove(path)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

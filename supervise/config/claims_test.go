package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const twinText = "[service]\nname = \"d1\"\nexec = \"old\"\n"

func TestSaveRefusesANameThatSeveralFilesHave(t *testing.T) {
	for name, texts := range map[string]map[string]string{
		"two":               {"x1.toml": twinText, "x2.toml": twinText},
		"its name and one":  {"d1.toml": twinText, "x2.toml": twinText},
		"one of them wrong": {"x1.toml": "[service]\nname = \"d1\"\n", "x2.toml": twinText},
	} {
		dir := t.TempDir()
		for file, text := range texts {
			writeFile(t, filepath.Join(dir, file), text)
		}
		path, kept, err := Save(dir, fromJSON(t, `{"service":{"name":"d1","exec":"new"}}`))
		if err == nil || kept != "" {
			t.Fatalf("%s: %s, %s, %v", name, path, kept, err)
		}
		for file := range texts {
			if said := path + ": " + err.Error(); !strings.Contains(said, filepath.Join(dir, file)) || !strings.Contains(said, "remove") {
				t.Errorf("%s: %q does not name %s and what to do", name, said, file)
			}
		}
		if now := files(t, dir); fmt.Sprint(now) != fmt.Sprint(texts) {
			t.Errorf("%s: the files are %q", name, now)
		}
	}
}

func TestUnlinkRemovesEveryFileOfTheName(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	for _, name := range []string{"x1.toml", "x2.toml", "d1.toml"} {
		writeFile(t, filepath.Join(dir, name), twinText)
	}
	writeFile(t, filepath.Join(dir, "other.toml"), serviceText("other")+"# not d1\n")
	writeFile(t, filepath.Join(elsewhere, "real"), twinText)
	if err := os.Symlink(filepath.Join(elsewhere, "real"), filepath.Join(dir, "link.toml")); err != nil {
		t.Fatal(err)
	}
	if path, err := Unlink(dir, "d1"); path != filepath.Join(dir, "d1.toml") || err != nil {
		t.Errorf("%q, %v", path, err)
	}
	if now := files(t, dir); len(now) != 1 || now["other.toml"] == "" {
		t.Errorf("left are %q", now)
	}
	if len(files(t, elsewhere)) != 1 {
		t.Error("not the link alone was removed")
	}
}

func TestUnlinkRemovesAllFilesOrNone(t *testing.T) {
	t.Run("a directory", func(t *testing.T) {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "a.toml"), twinText)
		if err := os.Mkdir(filepath.Join(dir, "d1.toml"), 0o755); err != nil {
			t.Fatal(err)
		}
		if path, err := Unlink(dir, "d1"); path != filepath.Join(dir, "d1.toml") || err != syscall.EISDIR {
			t.Errorf("%q, %v", path, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 2 {
			t.Errorf("left are %v", entries)
		}
	})
	t.Run("a file that is in use", func(t *testing.T) {
		dir := t.TempDir()
		for _, name := range []string{"a.toml", "b.toml"} {
			writeFile(t, filepath.Join(dir, name), twinText)
		}
		busy := filepath.Join(dir, "b.toml")
		if err := syscall.Mount(busy, busy, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("cannot mount: %v", err)
		}
		path, err := Unlink(dir, "d1")
		if e := syscall.Unmount(busy, syscall.MNT_DETACH); e != nil {
			t.Fatal(e)
		}
		if path != busy || err != syscall.EBUSY {
			t.Errorf("%q, %v", path, err)
		}
		if now := files(t, dir); len(now) != 2 || now["a.toml"] != twinText {
			t.Errorf("the files are %q", now)
		}
	})
}

func TestManyNamesAreLookedForAtOnce(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		writeFile(t, filepath.Join(dir, "10-"+name+".toml"), serviceText(name))
	}
	c := ClaimsOn(dir, "a", "c", "none")
	for name, want := range map[string]string{"a": "10-a.toml", "c": "10-c.toml", "none": ""} {
		path, err := c.Unlink(name)
		if strings.TrimPrefix(path, dir+"/") != want || err != nil {
			t.Errorf("%s: %q, %v", name, path, err)
		}
	}
	if now := files(t, dir); len(now) != 1 || now["10-b.toml"] == "" {
		t.Errorf("left are %q", now)
	}
}

// Editors leave files of that form, too.
func TestWhatIsKeptReplacesNothing(t *testing.T) {
	const second = "[service]\nname = \"web\"\nexec = \"2\"\n[health]\n# two\ntype = \"tcp\"\ntarget = \"h:1\"\n"
	dir := t.TempDir()
	path := filepath.Join(dir, "web.toml")
	web := fromJSON(t, `{"service":{"name":"web","exec":"new"}}`)
	writeFile(t, path+"~", "mine")
	save := func(text, want string) {
		t.Helper()
		writeFile(t, path, text)
		if _, kept, err := Save(dir, web); kept != path+want || err != nil {
			t.Errorf("kept %s, %v; want %s", kept, err, want)
		}
	}
	save(broken, "~1~")
	save(second, "~2~")
	save(broken, "~1~") // it is there already
	now := files(t, dir)
	if now["web.toml~"] != "mine" || now["web.toml~1~"] != broken || now["web.toml~2~"] != second || len(now) != 4 {
		t.Errorf("the files are %q", now)
	}
	for i := range maxKept {
		writeFile(t, fmt.Sprintf("%s~%d~", path, i), "mine")
	}
	writeFile(t, path, broken)
	if _, kept, err := Save(dir, web); kept != "" || err == nil || !strings.Contains(err.Error(), "remove") {
		t.Errorf("with no name left: %s, %v", kept, err)
	}
	if now := files(t, dir); now["web.toml"] != broken {
		t.Errorf("it is %q", now["web.toml"])
	}
}

// The file itself cannot be replaced when it is the root of a mount.
func TestAFileThatCannotBeReplacedCostsNoOlderText(t *testing.T) {
	for name, older := range map[string]string{"another": "mine", "the same": broken, "none": ""} {
		dir := t.TempDir()
		path := filepath.Join(dir, "web.toml")
		writeFile(t, path, broken)
		if older != "" {
			writeFile(t, path+"~", older)
		}
		before := files(t, dir)
		if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("cannot mount: %v", err)
		}
		_, kept, err := Save(dir, fromJSON(t, `{"service":{"name":"web","exec":"new"}}`))
		if e := syscall.Unmount(path, syscall.MNT_DETACH); e != nil {
			t.Fatal(e)
		}
		if kept != "" || err != syscall.EBUSY {
			t.Errorf("%s: %s, %v", name, kept, err)
		}
		if now := files(t, dir); fmt.Sprint(now) != fmt.Sprint(before) {
			t.Errorf("%s: the files are %q", name, now)
		}
	}
}

func TestFilesThatAKilledServerLeftAreSwept(t *testing.T) {
	dir := t.TempDir()
	stay := []string{".zinit-0123456789abcdef.toml", ".zinit-0123.new", ".zinit-0123456789ABCDEF.new", "zinit-0123456789abcdef.new", ".new"}
	for _, name := range append(stay, ".zinit-0123456789abcdef.new", ".zinit-fedcba9876543210.new") {
		writeFile(t, filepath.Join(dir, name), "x")
	}
	for name, err := range map[string]error{
		".zinit-1111111111111111.new": os.Mkdir(filepath.Join(dir, ".zinit-1111111111111111.new"), 0o755),
		".zinit-2222222222222222.new": os.Symlink("nowhere", filepath.Join(dir, ".zinit-2222222222222222.new")),
	} {
		if stay = append(stay, name); err != nil {
			t.Fatal(err)
		}
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	all := names()
	fresh := filepath.Join(dir, ".zinit-fedcba9876543210.new")
	made := time.Now().Round(0)
	if err := os.Chtimes(fresh, made, made.Add(-time.Hour)); err != nil {
		t.Fatal(err) // moved here just now, and written an hour ago
	}
	if sweep(dir, time.Now()); !slices.Equal(names(), all) {
		t.Errorf("what may be in flight was removed: %v", names())
	}
	web := fromJSON(t, `{"service":{"name":"web","exec":"new"}}`)
	synctest.Test(t, func(t *testing.T) {
		<-time.After(made.Add(2 * inFlight).Sub(time.Now().Round(0)))
		if _, _, err := Save(dir, web); err != nil {
			t.Error(err)
		}
	})
	stay = append(stay, "web.toml")
	slices.Sort(stay)
	if got := names(); !slices.Equal(got, stay) {
		t.Errorf("left are %v", got)
	}
}

func BenchmarkUnlink1000At(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("service-%05d", i))
			writeFile(b, filepath.Join(dir, names[i]+".toml"), realistic(names[i]))
		}
		c := ClaimsOn(dir, names...)
		for _, name := range names {
			if _, err := c.Unlink(name); err != nil {
				b.Fatal(err)
			}
		}
	}
}

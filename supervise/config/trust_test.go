package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// stranger is a user, and a group, that is neither root nor we.
const stranger = 54321

// Fault 38.
func TestWhatOthersCanChangeIsNotLoadedByRoot(t *testing.T) {
	if os.Geteuid() != rootID {
		t.Skip("needs root, to give files away")
	}
	for name, c := range map[string]struct {
		mode     os.FileMode
		uid, gid int
		want     string // empty: trusted
	}{
		"ours":                 {0o700, 0, 0, ""},
		"by root's group":      {0o760, 0, 0, ""},
		"read by a group":      {0o740, 0, stranger, ""},
		"read by all":          {0o744, 0, stranger, ""},
		"written by all":       {0o766, 0, 0, "can be changed by everybody (mode 0766): chmod go-w "},
		"only written by all":  {0o702, 0, 0, "can be changed by everybody (mode 0702): chmod go-w "},
		"written by a group":   {0o760, 0, stranger, "can be changed by group 54321 (mode 0760): chmod g-w "},
		"of another user":      {0o700, stranger, 0, "belongs to user 54321, who can change it: chown root "},
		"of another user, all": {0o777, stranger, stranger, "belongs to user 54321"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "by-hand.toml")
			writeFile(t, path, serviceText("web"))
			give := func(path string, mode os.FileMode, uid, gid int) {
				if err := errors.Join(os.Chmod(path, mode), os.Chown(path, uid, gid)); err != nil {
					t.Fatal(err)
				}
			}
			give(path, c.mode, c.uid, c.gid)
			link := filepath.Join(t.TempDir(), "link.toml")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(link, stranger, stranger); err != nil { // who owns a link does not matter
				t.Fatal(err)
			}
			for _, file := range []string{path, link} {
				s, problems := LoadFile(file)
				switch {
				case c.want == "" && (s == nil || len(problems) > 0):
					t.Errorf("%s: %v", file, problems)
				case c.want != "" && (s != nil || len(problems) != 1 || problems[0].Severity != Error || problems[0].Service != "web" ||
					!strings.Contains(problems[0].Message, "is not loaded: it "+c.want)):
					t.Errorf("%s: %v, %v", file, s, problems)
				}
			}

			give(path, 0o644, 0, 0)
			give(dir, c.mode, c.uid, c.gid)
			set, err := LoadDir(dir)
			switch {
			case c.want == "" && (err != nil || len(set.Services) != 1 || len(set.Problems) > 0):
				t.Errorf("%v, %v", set, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), "cannot trust configuration directory "+dir+": it "+c.want)):
				t.Errorf("%v, %v", set, err)
			}
			other := t.TempDir()
			set, err = LoadDirs(Dirs{System: other, User: dir})
			if err != nil || c.want != "" && (len(set.Services) > 0 || len(set.Problems) != 1 || set.Problems[0].File != dir ||
				set.Problems[0].Service != "" || !strings.Contains(set.Problems[0].Message, c.want)) {
				t.Errorf("%v, %v", set, err)
			}
			web := fromJSON(t, `{"service":{"name":"web","exec":"new"}}`)
			_, _, err = Save(dir, web)
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), dir+" "+c.want) {
				t.Errorf("saved: %v", err)
			}
		})
	}
}

func TestAFileThatIsNotTrustedIsNotEdited(t *testing.T) {
	if os.Geteuid() != rootID {
		t.Skip("needs root: others edit what they may write to")
	}
	dir, elsewhere := t.TempDir(), t.TempDir()
	target := filepath.Join(elsewhere, "x.toml")
	text := "# theirs\n" + serviceText("web")
	writeFile(t, target, text)
	if err := errors.Join(os.Chmod(target, 0o666), os.Symlink(target, filepath.Join(dir, "web.toml"))); err != nil {
		t.Fatal(err)
	}
	web := fromJSON(t, `{"service":{"name":"web","exec":"/bin/sleep 1000"}}`)
	path, kept, err := Save(dir, web)
	if err != nil || kept != path+"~" {
		t.Fatalf("%s, %s, %v", path, kept, err)
	}
	if now := files(t, dir); now["web.toml"] != string(Render(web)) || now["web.toml~"] != text || len(now) != 2 {
		t.Errorf("the files are %q", now)
	}
	if s, problems := LoadFile(path); s == nil || len(problems) > 0 {
		t.Errorf("it is not trusted now: %v", problems)
	}
	if now := files(t, elsewhere); now["x.toml"] != text {
		t.Errorf("the other file is %q", now)
	}
}

// Everybody else is only told. The thread that looks at the files is that of
// another user for the child, which runs this test alone.
func TestWhatOthersCanChangeIsAWarningToOthers(t *testing.T) {
	if os.Geteuid() == rootID {
		// Where its binary is others may not look.
		text, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "trust")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		binary := filepath.Join(dir, "config.test")
		if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(binary, text, 0o755)); err != nil {
			t.Fatal(err)
		}
		child := exec.Command(binary, "-test.v", "-test.run=^"+t.Name()+"$")
		child.Dir = "/"
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "web.toml")
	writeFile(t, path, serviceText("web"))
	for _, c := range []struct {
		mode os.FileMode
		want string
	}{{0o644, ""}, {0o666, "can be changed by everybody"}} {
		if err := errors.Join(os.Chmod(path, c.mode), os.Chmod(dir, c.mode|0o700)); err != nil {
			t.Fatal(err)
		}
		set, err := LoadDir(dir)
		if err != nil || len(set.Services) != 1 {
			t.Fatalf("%v, %v", set, err)
		}
		var about []string
		for _, p := range set.Problems {
			if about = append(about, p.File); p.Severity != Warning || !strings.Contains(p.Message, c.want) {
				t.Errorf("%+v", p)
			}
		}
		if c.want == "" && about != nil || c.want != "" && !slices.Equal(about, []string{dir, path}) {
			t.Errorf("mode %o: %v", c.mode, set.Problems)
		}
		if _, kept, err := Save(dir, fromJSON(t, `{"service":{"name":"web","exec":"/bin/sleep 1000"}}`)); kept != "" || err != nil {
			t.Errorf("%s, %v", kept, err)
		}
	}
}

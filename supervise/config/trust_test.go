package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
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
		"ours":                 {0o755, 0, 0, ""},
		"by root's group":      {0o775, 0, 0, ""},
		"read by a group":      {0o750, 0, stranger, ""},
		"read by all":          {0o777 &^ 0o022, 0, stranger, ""},
		"written by all":       {0o757, 0, 0, "can be changed by everybody (mode 0757): chmod go-w "},
		"only written by all":  {0o702, 0, 0, "can be changed by everybody (mode 0702): chmod go-w "},
		"written by a group":   {0o770, 0, stranger, "can be changed by group 54321 (mode 0770): chmod g-w "},
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
			give(path, c.mode&^0o111, c.uid, c.gid)
			link := filepath.Join(t.TempDir(), "link.toml")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			if err := os.Lchown(link, stranger, stranger); err != nil { // who owns a link does not matter
				t.Fatal(err)
			}
			want := strings.Replace(strings.Replace(c.want, "075", "064", 1), "0770", "0660", 1)
			want = strings.Replace(want, "0702", "0602", 1)
			for _, file := range []string{path, link} {
				s, problems := LoadFile(file)
				switch {
				case c.want == "" && (s == nil || len(problems) > 0):
					t.Errorf("%s: %v", file, problems)
				case c.want != "" && (s != nil || len(problems) != 1 || problems[0].Severity != Error || problems[0].Service != "web" ||
					!strings.Contains(problems[0].Message, "is not loaded: it "+want) && c.mode != 0o757):
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

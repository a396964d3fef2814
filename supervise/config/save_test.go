package config

import (
	"os"
	"path/filepath"
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

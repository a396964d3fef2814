package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckNamesUsersAndGroupsThatThereAreNot(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	passwd := write("passwd", "root:x:0:0::/:\nweb:x:33:33::/:\nno colon\n")
	group := write("group", "root:x:0:\nssl:x:50:"+strings.Repeat("member,", 20000)+"\n")
	files := []string{
		write("good.toml", "[service]\nname = \"good\"\nexec = \"/bin/true\"\nuser = \"web\"\ngroup = \"ssl\"\nsupplementary_groups = [\"root\", 77, \"99\"]\n"),
		write("number.toml", "[service]\nname = \"number\"\nexec = \"/bin/true\"\nuser = 4711\n"),
		write("bad.toml", "[service]\nname = \"bad\"\nexec = \"/bin/true\"\nuser = \"wbe\"\ngroup = \"web\"\nsupplementary_groups = [\n  \"ssl\",\n  \"tls\",\n]\n"),
	}
	set := loadFiles(files, "")
	if len(set.Services) != 3 {
		t.Fatal(set.Problems)
	}
	var got []string
	for _, p := range accounts(set.Services, passwd, group) {
		got = append(got, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	want := []string{
		"bad.toml:4: service.user: warning: wbe is not in passwd of this machine: add it before the service starts",
		"bad.toml:5: service.group: warning: web is not in group of this machine: add it before the service starts",
		"bad.toml:8: service.supplementary_groups: warning: tls is not in group of this machine: add it before the service starts",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	none := filepath.Join(dir, "none")
	if got := accounts(set.Services, none, none); got != nil {
		t.Errorf("without the files of the machine: %v", got)
	}
}

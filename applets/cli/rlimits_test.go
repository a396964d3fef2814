package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCheckNamesResourceLimitsThatCannotBeSet(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	head := "[service]\nname = \"NAME\"\nexec = \"/bin/true\"\n[rlimits]\n"
	set := loadFiles([]string{
		write("good.toml", strings.Replace(head, "NAME", "good", 1)+"nofile = \"10:1000\"\ncore = 99\nnproc = 50\n"),
		write("open.toml", strings.Replace(head, "NAME", "open", 1)+"core = \"0:100\"\nnofile = \"10:1001\"\n"),
		write("all.toml", strings.Replace(head, "NAME", "all", 1)+"nproc = 51\nnofile = \"unlimited\"\n"),
	}, "")
	if len(set.Services) != 3 {
		t.Fatal(set.Problems)
	}
	here := bounds{nrOpen: 1000, hard: func(resource int) (uint64, bool) { return 50, resource == 6 }}
	var got []string
	for _, p := range rlimits(set.Services, here) {
		got = append(got, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	want := []string{
		"open.toml:6: rlimits.nofile: warning: 1001 is above fs.nr_open of this machine, which is 1000: lower it, or raise that with sysctl",
		"all.toml:5: rlimits.nproc: warning: 51 is above the hard limit here, which is 50 and which only CAP_SYS_RESOURCE can raise: lower it, or give zinit that capability",
		"all.toml:6: rlimits.nofile: warning: unlimited is above fs.nr_open of this machine, which is 1000: lower it, or raise that with sysctl",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestWhatResourceLimitsCanBeSetHere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nrOpen := write("nr_open", "4096\n")
	for _, c := range []struct {
		name, status string
		bound        bool
	}{
		{"with the capability", "Name:\tx\nCapEff:\t0000000001000000\n", false},
		{"without", "Name:\tx\nCapEff:\t000001fffeffffff\n", true},
		{"unreadable", "CapEff:\tnone\n", false},
		{"untold", "Name:\tx\n", false},
	} {
		here := thisMachine(nrOpen, write("status", c.status))
		if here.nrOpen != 4096 {
			t.Errorf("%s: fs.nr_open is %d", c.name, here.nrOpen)
		}
		if _, bound := here.hard(rlimitNofile); bound != c.bound {
			t.Errorf("%s: %v", c.name, bound)
		}
	}
	none := thisMachine(filepath.Join(dir, "none"), filepath.Join(dir, "none"))
	if _, bound := none.hard(rlimitNofile); bound || none.nrOpen != 0 {
		t.Errorf("without /proc: %+v", none)
	}
}

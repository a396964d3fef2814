package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheGlobalFileOfSideros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "start.toml")
	if s, problems := LoadStart(path); s != (Start{}) || problems != nil {
		t.Errorf("no file: %+v, %v", s, problems)
	}
	cases := []struct {
		text    string
		want    Start
		problem string // the first one, without the file
	}{
		{text: `
[init]
hostname = "sideros"
services_dir = "/srv/services/"
runtime_dir = "/run/sideros"
[logging]
level = "debug"
output = "file:/var/log/start.log"
`, want: Start{"sideros", "/srv/services", "/run/sideros", "debug", "/var/log/start.log"}},
		{text: "[logging]\noutput = \"journal\" # or a file\n"},
		{text: "[init]\nservices_dir = \"here\"\nhostname = \"a\"\n", want: Start{Hostname: "a"},
			problem: `2: init.services_dir: must be an absolute path, not "here"`},
		{text: "[init]\nhostname = \"a b\"\n", problem: `2: init.hostname: must be a name of at most 64 characters, not "a b"`},
		{text: "[logging]\noutput = \"syslog\"\nlevel = 3\n", problem: `2: logging.output: must be "journal", or "file:" and an absolute path, not "syslog"`},
		{text: "[logging]\nlevel = 3\n", problem: "2: logging.level: must be a text in quotes, not the number 3"},
		{text: "[logging]\nlevel = \"loud\"\n", problem: `2: logging.level: must be trace, debug, info, warn or error, not "loud"`},
		{text: "[init]\nhost = \"a\"\n", problem: "2: init.host: is not a key of that table: remove it"},
		{text: "[other]\na = 1\n", problem: "1: other: has no effect: the tables are [init], [logging] and [defaults], remove it"},
		{text: "[defaults]\nstop_timeout = \"30s\"\n", problem: "2: defaults.stop_timeout: has no effect: say it in the files of the services"},
	}
	for _, c := range cases {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, problems := LoadStart(path)
		if s != c.want {
			t.Errorf("%q: %+v, want %+v", c.text, s, c.want)
		}
		got := ""
		if len(problems) > 0 {
			problems[0].Severity = Error
			got = problems[0].String()
		}
		if want := c.problem; want != "" && got != path+":"+want || want == "" && got != "" {
			t.Errorf("%q:\n got %s\nwant %s:%s", c.text, got, path, want)
		}
	}
}

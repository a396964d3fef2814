package config

import (
	"path/filepath"
	"strings"
	"testing"
)

// The complete example of the documentation of sideros-start.
const siderosPostgres = `[service]
name = "postgresql"
description = "PostgreSQL Database Server"
type = "notify"
exec = "/usr/bin/postgres -D /var/lib/postgresql/data"
user = "postgres"
group = "postgres"
working_directory = "/var/lib/postgresql"

[service.environment]
PGDATA = "/var/lib/postgresql/data"
PGPORT = "5432"

[service.restart]
policy = "on-failure"
delay = "10s"
max_attempts = 5

[service.timeout]
start = "90s"
stop = "30s"

[service.dependencies]
after = ["network.target", "local-fs.target"]
requires = ["network.target", "disk"]
wants = ["syslog.target"]

[service.resource_limits]
memory_max = "4G"
cpu_quota = "80%"
tasks_max = 512
`

func TestFilesOfSiderosStart(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"postgresql", siderosPostgres, `[service]
name = "postgresql"
exec = "/usr/bin/postgres -D /var/lib/postgresql/data"
dir = "/var/lib/postgresql"
description = "PostgreSQL Database Server"
type = "notify"
user = "postgres"
group = "postgres"

[service.env]
PGDATA = "/var/lib/postgresql/data"
PGPORT = "5432"

[dependencies]
after = ["network", "local-fs"]
requires = ["disk"]
wants = ["syslog", "network"]

[lifecycle]
restart_delay_ms = 10000
max_restarts = 5
start_timeout_ms = 90000
stop_timeout_ms = 30000

[limits]
memory_max = 4294967296
cpu_quota = "80%"
tasks_max = 512
`},
		{"nginx", "[service]\nname = \"nginx\"\ndescription = \"NGINX HTTP Server\"\ntype = \"simple\"\nexec = \"/usr/sbin/nginx -g 'daemon off;'\"\n\n" +
			"[service.restart]\npolicy = \"no\"\ndelay = \"10m\"\n\n[service.dependencies]\nafter = [\"network.target\"]\nrequires = [\"network.target\"]\n",
			`[service]
name = "nginx"
exec = "/usr/sbin/nginx -g 'daemon off;'"
description = "NGINX HTTP Server"

[dependencies]
after = ["network"]
wants = ["network"]

[lifecycle]
restart = "never"
restart_delay_ms = 600000
restart_delay_max_ms = 600000
`},
	} {
		s, problems := Parse(c.name+".toml", []byte(c.text))
		if s == nil || len(problems) > 0 {
			t.Errorf("%s: %v", c.name, problems)
			continue
		}
		if got, err := Brief(s); err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

func TestProblemsOfFilesOfSiderosStart(t *testing.T) {
	const head = "[service]\nname = \"a\"\nexec = \"b\"\n"
	for _, c := range []struct{ name, text, want string }{
		{"both places", head + "[service.restart]\npolicy = \"no\"\n[lifecycle]\nrestart = \"always\"\n", "a.toml:5: service.restart.policy: means the same as lifecycle.restart in line 7: remove one of them"},
		{"two directories", head + "working_directory = \"/a\"\ndir = \"/b\"\n", "dir"},
		{"a number for a time", head + "[service.timeout]\nstop = 5\n", "a.toml:5: service.timeout.stop: must be a duration such as \"5s\""},
		{"no time", head + "[service.restart]\ndelay = \"soon\"\n", "a.toml:5: service.restart.delay: must be a duration"},
		{"no policy", head + "[service.restart]\npolicy = \"sometimes\"\n", "a.toml:5: lifecycle.restart: 'sometimes' is none of"},
		{"an unknown key", head + "[service.restart]\nwhen = 1\n", "a.toml:5: service.restart.when: warning: when is not a key of [service.restart], which has policy, delay, max_attempts: remove it"},
		{"a socket", head + "notify_socket = \"/run/a\"\n", "a.toml:4: service.notify_socket: warning: has no effect"},
		{"no list", head + "[service.dependencies]\nafter = 5\n", "a.toml:5: dependencies.after: must be a list"},
	} {
		_, problems := Parse("a.toml", []byte(c.text))
		text := ""
		for _, p := range problems {
			text += p.String() + "\n"
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %s\nwant %s", c.name, text, c.want)
		}
	}
}

// A file of sideros-start that is changed over the wire says the new thing, and what it
// was is kept.
func TestFilesOfSiderosStartAreRewrittenWhenTheyChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pg.toml")
	writeFile(t, path, "# mine\n"+siderosPostgres)
	s, _ := LoadFile(path)
	if s == nil {
		t.Fatal("it cannot be loaded")
	}
	changed := *s
	changed.Lifecycle.MaxRestarts = 7
	at, _, err := Save(dir, &changed)
	if err != nil || at != path {
		t.Fatal(at, err)
	}
	if now, problems := LoadFile(path); now == nil || !now.Same(&changed) {
		t.Errorf("%+v %v", now, problems)
	}
}

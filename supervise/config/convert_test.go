package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBriefSaysWhatIsNotTheDefault(t *testing.T) {
	for _, c := range []struct{ path, text, want string }{
		{"svc.yaml", "exec: redis-server --port 7\ntest: redis-cli ping\nafter: [net]\nenv: {B: 1, A: two}\nlog: stdout\n", `[service]
name = "svc"
exec = "redis-server --port 7"
dir = "/"
env_file = ["-/etc/environment"]

[service.env]
A = "two"
B = "1"

[dependencies]
awaits = ["net"]

[lifecycle]
restart = "always"
restart_delay_ms = 2000
restart_delay_max_ms = 2000
max_restarts = 0
start_timeout_ms = 2073600000

[health]
type = "exec"
target = "redis-cli ping"
interval_ms = 2000
timeout_ms = 60000
on_unhealthy = "report"
once = true

[logging]
log = ["store", "stdout"]
`},
		{"svc.yaml", "exec: a $HOME\noneshot: true\n", "[service]\nname = \"svc\"\nexec = \"a '$HOME'\"\ndir = \"/\"\noneshot = true\nenv_file = [\"-/etc/environment\"]\n\n[logging]\nmark_starts = true\n"},
	} {
		s, problems := Parse(c.path, []byte(c.text))
		if s == nil {
			t.Fatal(problems)
		}
		got, err := Brief(s)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.text, err, got, c.want)
		}
	}
	s, _ := Parse("svc.yaml", []byte("exec: exec a\n"))
	if text, err := Brief(s); err == nil {
		t.Errorf("exec is a builtin: %s", text)
	}
	every := everyKey(t)
	if text, err := Brief(every); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestUnitsOfSystemd(t *testing.T) {
	text := `# A comment
[Unit]
Description="the web server"
Documentation=man:nginx(8)
After=network.target db.service nss.service
Wants=db.service
[Service]
Type=notify
ExecStartPre=/usr/sbin/web -t -q \
    -g 'daemon on;'
ExecStart=/usr/sbin/web --port=${PORT} \
  ; a comment inside
  --name %n
ExecReload=-/bin/kill -HUP $MAINPID
Environment="A=1 2" B=3
Environment=B=4
EnvironmentFile=-/etc/default/web
User=www-data
PrivateTmp=yes
Restart=on-failure
RestartSec=1min 30s
TimeoutStopSec=5
KillMode=mixed
LimitNOFILE=1024:infinity
MemoryMax=512M
CPUQuota=80%
NoNewPrivileges=true
WatchdogSec=10

[Install]
WantedBy=multi-user.target
`
	s, problems := Parse("/lib/systemd/web.service", []byte(text))
	if s == nil {
		t.Fatal(problems)
	}
	got, err := Brief(s)
	want := `[service]
name = "web"
exec = "/usr/sbin/web --port=${PORT} --name web.service"
dir = "/"
description = "the web server"
type = "notify"
watchdog = "10s"
user = "www-data"
no_new_privs = true
env_file = ["-/etc/default/web"]
exec_start_pre = ["/usr/sbin/web -t -q -g 'daemon on;'"]
exec_reload = ["-/bin/kill -HUP $MAINPID"]

[service.env]
A = "1 2"
B = "4"

[dependencies]
after = ["db", "nss"]
wants = ["db"]

[lifecycle]
restart_delay_ms = 90000
restart_delay_max_ms = 90000
max_restarts = 5
stability_period_ms = 10000
start_timeout_ms = 90000
stop_timeout_ms = 5000
kill_mode = "mixed"

[rlimits]
nofile = "1024:unlimited"

[limits]
memory_max = 536870912
cpu_quota = "80%"
`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	var dropped []string
	for _, p := range problems {
		dropped = append(dropped, p.String())
	}
	if got, want := strings.Join(dropped, "\n"), `/lib/systemd/web.service:4: Unit.Documentation: warning: is dropped: a service file has nothing like it
/lib/systemd/web.service:5: Unit.After: warning: is dropped: network.target is no service
/lib/systemd/web.service:19: Service.PrivateTmp: warning: is dropped: a service file has nothing like it
/lib/systemd/web.service:31: Install.WantedBy: warning: is dropped: what is in the directory of services is started`; got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
}

func TestUnitsThatCannotBeTakenOver(t *testing.T) {
	for _, c := range []struct{ name, path, text, want string }{
		{"nothing to run", "a.service", "[Service]\nType=simple\n", "Service.ExecStart: is missing"},
		{"a template", "a@.service", "[Service]\nExecStart=/bin/a %i\n", "is a template"},
		{"a specifier", "a.service", "[Service]\nExecStart=/bin/a %h\n", "a.service:2: Service.ExecStart: %h is not known here"},
		{"no assignment", "a.service", "[Service]\nhello\n", "a.service:2: 'hello' is no assignment"},
		{"no section", "a.service", "ExecStart=/bin/a\n", "is no assignment in a section"},
		{"two commands", "a.service", "[Service]\nType=simple\nExecStart=/bin/a\nExecStart=/bin/b\n", "a.service:4: Service.ExecStart: stands there a second time"},
		{"no time", "a.service", "[Service]\nExecStart=/bin/a\nTimeoutStopSec=soon\n", "a.service:3: Service.TimeoutStopSec: 'soon' is not a length of time"},
		{"no flag", "a.service", "[Service]\nExecStart=/bin/a\nNoNewPrivileges=perhaps\n", "must be yes or no"},
		{"no type", "a.service", "[Service]\nExecStart=/bin/a\nType=magic\n", "a.service:3: service.type: 'magic' is none of"},
		{"NUL", "a.service", "[Service]\nExecStart=/bin/a\x00\n", "a.service:2: holds a NUL"},
	} {
		s, problems := Parse(c.path, []byte(c.text))
		text := ""
		for _, p := range problems {
			text += p.String() + "\n"
		}
		if s != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %v %s\nwant %s", c.name, s, text, c.want)
		}
	}
}

func TestUnitsSayMuchInLittle(t *testing.T) {
	for _, c := range []struct {
		name, text string
		check      func(s *Service) bool
	}{
		{"an assignment of nothing undoes those before it", "ExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\n", func(s *Service) bool { return s.Exec == "/bin/b" }},
		{"a oneshot runs them all", "Type=oneshot\nExecStart=/bin/a\nExecStart=-/bin/b\nExecStart=/bin/c\n", func(s *Service) bool {
			return s.Exec == "/bin/c" && len(s.Hooks.StartPre) == 2 && s.Oneshot()
		}},
		{"another name for the program", "ExecStart=@/bin/a b c 'd e'\n", func(s *Service) bool { return s.Exec == "/bin/a c 'd e'" }},
		{"without a delay", "ExecStart=/bin/a\nRestart=always\nRestartSec=0\n", func(s *Service) bool { return s.Lifecycle.RestartDelay == 0 }},
		{"a stop without an end", "ExecStart=/bin/a\nTimeoutStopSec=infinity\n", func(s *Service) bool { return s.Lifecycle.StopTimeout == legacyPatience }},
		{"percent", "ExecStart=/bin/a %%x\n", func(s *Service) bool { return s.Exec == "/bin/a %x" }},
		{"a file for its output", "ExecStart=/bin/a\nStandardOutput=append:/var/log/a\n", func(s *Service) bool { return s.Logging.File == "/var/log/a" }},
		{"codes", "ExecStart=/bin/a\nSuccessExitStatus=143 SIGKILL\n", func(s *Service) bool { return s.SuccessStatus.HasCode(143) && s.SuccessStatus.HasSignal(9) }},
		{"it forks", "Type=forking\nPIDFile=a.pid\nExecStart=/bin/a\n", func(s *Service) bool { return s.PidFile == "/run/a.pid" }},
		{"never restarted", "ExecStart=/bin/a\n", func(s *Service) bool { return s.Lifecycle.Restart == RestartNever }},
	} {
		s, problems := Parse("a.service", []byte("[Service]\n"+c.text))
		if s == nil || !c.check(s) {
			t.Errorf("%s: %+v %v", c.name, s, problems)
		}
	}
}

func TestConvertedFilesTakeNobodysPlace(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "web.yaml")
	writeFile(t, old, "exec: a\n")
	writeFile(t, filepath.Join(dir, "web.toml"), "theirs")
	if _, _, err := Supersede(old, "web", []byte("ours")); err == nil || !strings.Contains(err.Error(), "it is there already") {
		t.Error(err)
	}
	if _, err := WriteNew(dir, "../web", nil); err == nil {
		t.Error("a path is no name")
	}
	if _, err := WriteNew(filepath.Join(dir, "none"), "web", nil); err == nil || err.Error() != "there is no directory "+filepath.Join(dir, "none")+": make it first" {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(dir, "web.toml")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, old+"~", "older")
	path, kept, err := Supersede(old, "web", []byte("ours"))
	if err != nil || path != filepath.Join(dir, "web.toml") || kept != old+"~1~" {
		t.Errorf("%s %s %v", path, kept, err)
	}
	if now := files(t, dir); len(now) != 3 || now["web.toml"] != "ours" || now["web.yaml~1~"] != "exec: a\n" || now["web.yaml~"] != "older" {
		t.Errorf("%q", now)
	}
}

// Fault 6: a conversion that cannot be written leaves what is there.
func TestFault6AConversionThatFailsLeavesTheOldFile(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string) (mend func())
		want  error
	}{
		"no room":               {fileLimit(8), syscall.EFBIG},
		"a full disk":           {fullDisk, syscall.ENOSPC},
		"a read-only directory": {readOnly, syscall.EROFS},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, "web.yaml"), "exec: a\n")
			mend := c.spoil(t, dir)
			if mend == nil {
				return // a child has done it
			}
			path, _, err := Supersede(filepath.Join(dir, "web.yaml"), "web", []byte(strings.Repeat("# a text\n", 1000)))
			now := files(t, dir)
			mend()
			delete(now, "ballast")
			if !errors.Is(err, c.want) || filepath.Base(path) != "web.toml" || len(now) != 1 || now["web.yaml"] != "exec: a\n" {
				t.Errorf("%s %v %q", path, err, now)
			}
		})
	}
}

func FuzzSystemdUnit(f *testing.F) {
	for _, text := range []string{
		"[Unit]\nAfter=a.service\n[Service]\nExecStart=/bin/a \\\n b\nEnvironment=\"A=1\"\n", "[Service]\nType=oneshot\nExecStart=@a b\nRestartSec=1min\n",
		"[Service]\nExecStart=%%\nLimitNOFILE=1:2\nSuccessExitStatus=1 TERM\nMemoryMax=1G\n", "x\n[\n]=\n%",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, problems := Parse("svc.service", []byte(text))
		bad := false
		for _, p := range problems {
			bad = bad || p.Severity == Error
		}
		if bad != (s == nil) {
			t.Fatalf("%v %v", s, problems)
		}
		if s == nil {
			return
		}
		if b, err := Brief(s); err != nil {
			t.Fatalf("%v\n%s\n%s", err, b, Render(s))
		}
	})
}

package config

import (
	"testing"
	"time"

	"zinit/proxy/address"
)

func calendar(t testing.TB, text string) *Calendar {
	t.Helper()
	c, err := ParseCalendar(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func direct(line string, argv ...string) Hook {
	return Hook{Line: line, Command: Command{Argv: argv}}
}

// everyKey is what testdata/services/good/every-key.toml describes.
func everyKey(t testing.TB) *Service {
	umask, nice, oom, capabilities := uint32(0o27), 0, -500, []int{5, 13}
	saysUp := direct("/bin/say up", "/bin/say", "up")
	saysUp.IgnoreFailure = true
	cleans := direct("/bin/clean", "/bin/clean")
	cleans.IgnoreFailure = true
	return &Service{
		Name: "every.key_1-x", Exec: `/usr/sbin/app -g 'daemon off;' --name "my app"`, Description: "Every key.",
		Command: Command{Argv: []string{"/usr/sbin/app", "-g", "daemon off;", "--name", "my app"}},
		Dir:     "/srv", Env: []string{"A=", "B=two words", "with.dot=é"}, Type: TypeIdle, Main: true,
		EnvFiles: []EnvFile{{"/etc/default/app", false}, {"/etc/app.env", true}}, Stdin: StdinTTY, TTY: "/dev/tty1",
		Identity: Identity{User: "www-data", Group: "33", Groups: []string{"ssl-cert", "44"}},
		Setup: Setup{
			Umask: &umask, Nice: &nice, OOMScoreAdj: &oom, Capabilities: &capabilities, NoNewPrivs: true,
			Rlimits: []Rlimit{
				{0, 3600, 3600}, {1, 100, 100}, {2, Unlimited, Unlimited}, {3, 8 << 20, 8 << 20}, {4, 0, Unlimited},
				{6, Unlimited, Unlimited}, {7, 1024, 65536}, {8, 64 << 10, 64 << 10}, {9, 4 << 30, 4 << 30},
				{11, 4096, 4096}, {12, 819200, 819200}, {13, 30, 30}, {14, 50, 50},
			},
		},
		Hooks: Hooks{
			StartPre: []Hook{direct("/bin/check -c", "/bin/check", "-c")},
			StartPost: []Hook{saysUp, {
				Line:    "/bin/say $HOME",
				Command: Command{Argv: []string{"/bin/sh", "-c", "exec /bin/say $HOME"}, Shell: true, ShellWhy: "the variable $HOME"},
			}},
			Stop: []Hook{direct("/bin/quit", "/bin/quit")}, StopPost: []Hook{cleans},
		},
		ReloadSignal:  10,
		SuccessStatus: Statuses{Codes: [4]uint64{1 << 1, 0, 1 << (143 - 128)}, Signals: 1 << 15},
		PreventStatus: Statuses{Codes: [4]uint64{3: 1 << 63}, Signals: 1 << 9},
		Limits: Limits{
			MemoryMax: 512 << 20, MemoryHighPercent: 75, CPUQuota: 125, CPUWeight: 50, TasksMax: 512,
		},
		RequiresLimits: true,
		Class:          ClassSystem, Critical: true, Ports: []uint16{80, 8443}, KillOthers: true,
		ProcessFilters: []string{"nginx", "apache"},
		Requires:       []string{"a"}, After: []string{"b"}, Wants: []string{"c"}, Conflicts: []string{"d", "e"}, Awaits: []string{"f"},
		Lifecycle: Lifecycle{
			Restart: RestartAlways, RestartDelayMax: 7 * time.Millisecond, MaxRestarts: 1<<31 - 1,
			StartTimeout: time.Millisecond, StopTimeout: 2 * time.Millisecond, StopSignal: 12, KillMode: KillCgroup,
			HookTimeout: 8 * time.Millisecond,
		},
		Health: &Health{
			Kind: ProbeExec, Target: "/bin/check && echo ok", ExpectStatus: 200,
			Command:  Command{Argv: []string{"/bin/sh", "-c", "/bin/check && echo ok"}, Shell: true, ShellWhy: "the operator &&"},
			Interval: 3 * time.Millisecond, Timeout: 4 * time.Millisecond, Retries: 5, StartPeriod: 6 * time.Millisecond, ReportOnly: true, Once: true,
		},
		Logging: Logging{
			BufferLines: 8, BufferBytes: 64 << 10, Chosen: true, Stdout: true, Ring: true, Syslog: true, MarkStarts: true,
			File: "/var/log/app.log", FileMax: 16 << 20, FileAge: 36 * time.Hour, FileKeep: 7, Compress: true, Rate: 500,
		},
		Timer: &Timer{
			Every: 90 * time.Minute, OnBoot: 2 * time.Minute, Jitter: 30 * time.Second, Persistent: true,
			Calendar: calendar(t, "*/10 8-18 * * mon-fri"),
		},
		Sockets: []Socket{{
			Listen: []address.Address{
				{Network: address.TCP, Host: "::1", Port: 8080}, {Network: address.Unix, Path: "/run/app.sock", Mode: 0o600, User: "5", Group: "g"},
			},
			Names: []string{"http", "local"}, Mode: 0o666, User: "www-data", Group: "33", Backlog: 64,
		}},
	}
}

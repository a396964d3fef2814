package env

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func surroundings(environ map[string]string, args ...string) *Env {
	return &Env{
		Args:   append([]string{"zinit-server"}, args...),
		Getenv: func(name string) string { return environ[name] },
	}
}

func TestServerFlags(t *testing.T) {
	plain := ServerFlags{ConfigDir: DefaultConfig, Socket: DefaultSocket, LogLevel: "info"}
	with := func(change func(*ServerFlags)) ServerFlags {
		f := plain
		change(&f)
		return f
	}
	cases := []struct {
		name    string
		dialect Dialect
		environ map[string]string
		args    []string
		want    ServerFlags
		wrong   string // part of the error; empty for none
	}{
		{name: "nothing is the default", want: plain},
		{name: "long flags", args: []string{"--config-dir", "/c", "--socket", "/s", "--log-level", "trace", "--pid1-mode"},
			want: ServerFlags{ConfigDir: "/c", Socket: "/s", LogLevel: "trace", Pid1Mode: true}},
		{name: "short flags", args: []string{"-c", "/c", "-s", "/s"},
			want: ServerFlags{ConfigDir: "/c", Socket: "/s", LogLevel: "info"}},
		{name: "values glued on", args: []string{"--config-dir=/c=d", "--socket=/s"},
			want: ServerFlags{ConfigDir: "/c=d", Socket: "/s", LogLevel: "info"}},
		{name: "the last counts", args: []string{"-c", "/a", "--config-dir=/b", "--log-level=warn", "--log-level", "error"},
			want: ServerFlags{ConfigDir: "/b", Socket: DefaultSocket, LogLevel: "error"}},
		{name: "the environment", environ: map[string]string{"ZINIT_CONFIG_DIR": "/ec", "ZINIT_SOCKET": "/es", "ZINIT_LOG_LEVEL": "debug"},
			want: ServerFlags{ConfigDir: "/ec", Socket: "/es", LogLevel: "debug"}},
		{name: "a flag beats the environment", environ: map[string]string{"ZINIT_CONFIG_DIR": "/ec"}, args: []string{"-c", "/c"},
			want: with(func(f *ServerFlags) { f.ConfigDir = "/c" })},
		{name: "RUST_LOG is an alias", environ: map[string]string{"RUST_LOG": "WARN"},
			want: with(func(f *ServerFlags) { f.LogLevel = "warn" })},
		{name: "a level of the environment that is none is passed over", environ: map[string]string{"RUST_LOG": "zinit=debug,hyper=warn"}, want: plain},
		{name: "help and version", args: []string{"-h", "-V"},
			want: with(func(f *ServerFlags) { f.Help, f.Version = true, true })},
		{name: "zinit-pid1 means the container by -c", dialect: DialectPid1, args: []string{"-c"},
			want: with(func(f *ServerFlags) { f.Container = true })},
		{name: "zinit-pid1 has a long flag for the directory", dialect: DialectPid1, args: []string{"--container", "--config-dir", "/c"},
			want: with(func(f *ServerFlags) { f.Container, f.ConfigDir = true, "/c" })},
		{name: "init means the directory by -c", dialect: DialectInit, args: []string{"-c", "/c", "-b", "100", "-d", "--container"},
			want: with(func(f *ServerFlags) { f.Container, f.ConfigDir, f.LogLevel = true, "/c", "debug" })},
		{name: "init knows --config", dialect: DialectInit, args: []string{"--config", "/c"},
			want: with(func(f *ServerFlags) { f.ConfigDir = "/c" })},

		{name: "a command", args: []string{"-c", "/c", "--", "sh", "-c", "--bogus"},
			want: with(func(f *ServerFlags) {
				f.ConfigDir, f.LogLevel, f.Command = "/c", "warn", []string{"sh", "-c", "--bogus"}
			})},
		{name: "a level beside a command", args: []string{"--log-level=info", "--", "sh"},
			want: with(func(f *ServerFlags) { f.Command = []string{"sh"} })},
		{name: "the time of a shutdown", args: []string{"--stop-timeout", "1m30s"},
			want: with(func(f *ServerFlags) { f.StopTimeout = 90 * time.Second })},
		{name: "in seconds", args: []string{"--stop-timeout=25"},
			want: with(func(f *ServerFlags) { f.StopTimeout = 25 * time.Second })},

		{name: "for repair", args: []string{"--single", "--emergency"},
			want: with(func(f *ServerFlags) { f.Single, f.Emergency = true, true })},
		{name: "no command", args: []string{"--"}, wrong: "-- needs a command", want: plain},
		{name: "a time that is none", args: []string{"--stop-timeout", "soon"}, wrong: `--stop-timeout: "soon": use a time`, want: plain},
		{name: "no time", args: []string{"--stop-timeout", "0"}, wrong: "use a time from 100ms", want: plain},
		{name: "an unknown flag", args: []string{"--bogus"}, wrong: "unknown flag --bogus", want: plain},
		{name: "a word", args: []string{"quiet"}, wrong: `unexpected argument "quiet"`, want: plain},
		{name: "a dash", args: []string{"-"}, wrong: `unexpected argument "-"`, want: plain},
		{name: "a missing value", args: []string{"--socket"}, wrong: "--socket needs a value: --socket PATH", want: plain},
		{name: "an empty value", args: []string{"--socket="}, wrong: "--socket needs a value", want: plain},
		{name: "a value too many", args: []string{"--pid1-mode=yes"}, wrong: "--pid1-mode takes no value", want: plain},
		{name: "a level that is none", args: []string{"--log-level", "loud"}, wrong: `unknown log level "loud": use one of trace, debug`, want: plain},
		{name: "--config is not a flag of zinit-server", args: []string{"--config=/c"}, wrong: "unknown flag --config", want: plain},
		{name: "the rest is understood after an error", args: []string{"quiet", "-c", "/c", "--bogus"}, wrong: "quiet",
			want: with(func(f *ServerFlags) { f.ConfigDir = "/c" })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := surroundings(c.environ, c.args...).ParseServerFlags(c.dialect)
			switch {
			case c.wrong == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Fatalf("error %v, want one with %q", err, c.wrong)
			case !reflect.DeepEqual(got, c.want):
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestServerFlagsSurviveTheWayToTheServer(t *testing.T) {
	for _, f := range []ServerFlags{
		{ConfigDir: "/c", Socket: "/s", LogLevel: "warn"},
		{ConfigDir: "/-c", Socket: "/a b", LogLevel: "trace", Pid1Mode: true, Container: true,
			StartFile: "/etc/start.toml", StopTimeout: 1500 * time.Millisecond, Command: []string{"cat", "--", "-h", ""}},
	} {
		hostile := map[string]string{"ZINIT_CONFIG_DIR": "/x", "ZINIT_SOCKET": "/y", "ZINIT_LOG_LEVEL": "error"}
		got, err := surroundings(hostile, f.Args()...).ParseServerFlags(DialectServer)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("%v came back as %+v, %v", f.Args(), got, err)
		}
	}
}

func TestServerUsageNamesEveryFlag(t *testing.T) {
	for _, d := range []Dialect{DialectServer, DialectPid1, DialectInit} {
		text := surroundings(nil).ServerUsage(d)
		for _, row := range d.table(&ServerFlags{}) {
			if !strings.Contains(text, row.Names[0]) || !strings.Contains(text, row.Help) {
				t.Errorf("usage of dialect %d lacks %s:\n%s", d, row.Names[0], text)
			}
		}
	}
}

func TestFlagNamesAreNotUsedTwice(t *testing.T) {
	for _, d := range []Dialect{DialectServer, DialectPid1, DialectInit} {
		var seen []string
		for _, row := range d.table(&ServerFlags{}) {
			for _, n := range row.Names {
				if slices.Contains(seen, n) {
					t.Errorf("dialect %d: %s twice", d, n)
				}
				seen = append(seen, n)
			}
		}
	}
}

func FuzzServerFlags(f *testing.F) {
	f.Add("--config-dir /c -s /s", uint8(0))
	f.Add("-c --socket= --log-level x", uint8(1))
	f.Add("--stop-timeout 3 -- cat -- -h", uint8(1))
	f.Fuzz(func(t *testing.T, line string, d uint8) {
		got, err := surroundings(nil, strings.Split(line, " ")...).ParseServerFlags(Dialect(d % 3))
		if got.ConfigDir == "" || got.Socket == "" || checkLevel(got.LogLevel) != nil {
			t.Fatalf("%q: unresolved %+v", line, got)
		}
		if err != nil {
			return
		}
		got.Help, got.Version = false, false
		again, err := surroundings(nil, got.Args()...).ParseServerFlags(DialectServer)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%q: %+v came back as %+v, %v", line, got, again, err)
		}
	})
}

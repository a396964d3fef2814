package pid1

import (
	"strings"
	"testing"
	"time"

	"zinit/applets/env"
)

func TestWhatFollowsFromAContainer(t *testing.T) {
	cases := []struct {
		name    string
		role    role
		dialect env.Dialect
		environ map[string]string
		args    []string
		run     bool            // may be written to
		want    env.ServerFlags // but for the log level and the command; an empty Socket is the user's own
		wrong   string
	}{
		{name: "process 1 of one", role: container, dialect: env.DialectServer,
			want: env.ServerFlags{ConfigDir: "/etc/zinit/services", StopTimeout: 8 * time.Second, Container: true}},
		{name: "where the user may write", role: container, dialect: env.DialectServer, run: true,
			want: env.ServerFlags{ConfigDir: "/etc/zinit/services", Socket: "/run/zinit.sock", StopTimeout: 8 * time.Second, Container: true}},
		{name: "with a socket of its own", role: container, dialect: env.DialectServer, run: true, args: []string{"-s", "/s"},
			want: env.ServerFlags{ConfigDir: "/etc/zinit/services", Socket: "/s", StopTimeout: 8 * time.Second, Container: true}},
		{name: "with words of its own", role: container, dialect: env.DialectPid1,
			args: []string{"--config-dir", "/c", "--stop-timeout=30s"},
			want: env.ServerFlags{ConfigDir: "/c", StopTimeout: 30 * time.Second, Container: true}},
		{name: "with an environment of its own", role: container, dialect: env.DialectPid1,
			environ: map[string]string{"ZINIT_CONFIG_DIR": "/e"},
			want:    env.ServerFlags{ConfigDir: "/e", StopTimeout: 8 * time.Second, Container: true}},
		{name: "below the init of an engine", role: standalone, dialect: env.DialectPid1, args: []string{"-c", "--", "true"},
			want: env.ServerFlags{ConfigDir: "/etc/zinit/services", StopTimeout: 8 * time.Second, Container: true}},
		{name: "the same by the environment", role: standalone, dialect: env.DialectInit,
			environ: map[string]string{"ZINIT_CONTAINER": "1"},
			want:    env.ServerFlags{ConfigDir: "/etc/zinit/services", StopTimeout: 8 * time.Second, Container: true}},
		{name: "the environment of a container does not reach servers in it", role: standalone, dialect: env.DialectServer,
			environ: map[string]string{"ZINIT_CONTAINER": "1"},
			want:    env.ServerFlags{ConfigDir: "/home/u/.config/zinit/services"}},
		{name: "no container", role: standalone, dialect: env.DialectPid1,
			want: env.ServerFlags{ConfigDir: "/home/u/.config/zinit/services"}},
		{name: "a command without one", role: standalone, dialect: env.DialectServer, args: []string{"--", "true"},
			want: env.ServerFlags{ConfigDir: "/home/u/.config/zinit/services"}, wrong: "add --container"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			environ := map[string]string{"HOME": "/home/u"}
			for k, v := range c.environ {
				environ[k] = v
			}
			e := &env.Env{UID: 1000, Args: append([]string{"zinit-pid1"}, c.args...), Getenv: func(k string) string { return environ[k] }}
			f, err := e.ParseServerFlags(c.dialect)
			if err != nil {
				t.Fatal(err)
			}
			err = contain(e, c.dialect, c.role, &f, func(dir string) bool { return c.run && dir == "/run" })
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("error %v, want one with %q", err, c.wrong)
			}
			if c.want.Socket == "" {
				c.want.Socket = "/tmp/zinit-1000/zinit.sock"
			}
			if f.Socket != c.want.Socket || f.ConfigDir != c.want.ConfigDir || f.StopTimeout != c.want.StopTimeout || f.Container != c.want.Container {
				t.Errorf("got %+v, want %+v", f, c.want)
			}
		})
	}
}

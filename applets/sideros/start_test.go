package sideros

import (
	"strings"
	"testing"

	"zinit/applets/env"
	"zinit/supervise/config"
)

func TestTheFileBecomesFlags(t *testing.T) {
	full := config.Start{ServicesDir: "/s", RuntimeDir: "/run/sideros", LogLevel: "debug", LogFile: "/var/log/start.log"}
	cases := []struct {
		file config.Start
		vars map[string]string
		want string
	}{
		{want: "--config-dir=/etc/sideros/services --start-file=/etc/start.toml --report-on-usr1"},
		{file: full, want: "--config-dir=/s --socket=/run/sideros/zinit.sock --log-level=debug --log-file=/var/log/start.log --start-file=/etc/start.toml --report-on-usr1"},
		{file: full, vars: map[string]string{"ZINIT_CONFIG_DIR": "/c", "ZINIT_SOCKET": "/x", "RUST_LOG": "info"},
			want: "--log-file=/var/log/start.log --start-file=/etc/start.toml --report-on-usr1"},
	}
	for _, c := range cases {
		e := &env.Env{Getenv: func(name string) string { return c.vars[name] }}
		list := flags(e, "/etc/start.toml", c.file)
		if got := strings.Join(list, " "); got != c.want {
			t.Errorf("%+v, %v: %s, want %s", c.file, c.vars, got, c.want)
		}
		e.Args = append([]string{"init"}, list...)
		f, err := e.ParseServerFlags(env.DialectInit)
		if err != nil || !f.ReportOnUsr1 || f.LogFile != c.file.LogFile || f.StartFile != "/etc/start.toml" {
			t.Errorf("%s: %+v, %v", c.want, f, err)
		}
	}
}

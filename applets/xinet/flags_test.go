package xinet

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/applets/env"
)

func TestParseFlags(t *testing.T) {
	const least = "--listen tcp:127.0.0.1:1 --backend unix:/b --service s "
	for _, c := range []struct {
		args, want string // empty: it is understood
		check      func(f flags) bool
	}{
		{least, "", func(f flags) bool {
			return f.cfg.ConnectTimeout == 30*time.Second && f.cfg.IdleTimeout == 0 && !f.cfg.Refuse && f.cfg.Name == "s"
		}},
		{least + "-l=/a --idle-timeout 5m --connect-timeout=10 --idle-from byte", "", func(f flags) bool {
			return len(f.cfg.Listen) == 2 && f.cfg.IdleTimeout == 5*time.Minute && f.cfg.ConnectTimeout == 10*time.Second && f.cfg.FromByte
		}},
		{least + "--single-connection", "", func(f flags) bool { return f.cfg.MaxConnections == 1 && f.cfg.Refuse }},
		{least + "--single --on-busy queue", "", func(f flags) bool { return f.cfg.MaxConnections == 1 && !f.cfg.Refuse }},
		{least + "--max-connections 7 --on-busy=refuse", "", func(f flags) bool { return f.cfg.MaxConnections == 7 && f.cfg.Refuse }},
		{"--help", "", func(f flags) bool { return f.help }},
		{"", "service name is required", nil},
		{"--service s", "at least one listen address is required", nil},
		{least + "--connect-timeout 0", "connect_timeout must be more than 0", nil},
		{least + "--connect-timeout soon", "--connect-timeout: \"soon\" is no duration", nil},
		{least + "--idle-from start", "use close or byte", nil},
		{least + "--max-connections many", "is no number", nil},
		{least + "--single=1", "--single takes no value", nil},
		{least + "--backend", "--backend needs a value: --backend ADDR", nil},
		{least + "--loud", `unknown flag --loud`, nil},
		{least + "more", `unexpected argument "more"`, nil},
		{"--listen 5432", `--listen: "5432": it has no port`, nil},
	} {
		f, err := parseFlags(strings.Fields(c.args))
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		case c.want == "" && (err != nil || !c.check(f)):
			t.Errorf("%s: %+v, %v", c.args, f, err)
		}
	}
}

func TestMainAnswers(t *testing.T) {
	for _, c := range []struct {
		args        string
		code        int
		out, errOut string
	}{
		{"xinet --version", env.ExitDone, "xinet " + env.Version + "\n", ""},
		{"xinet -h", env.ExitDone, "usage: xinet --listen ADDR", ""},
		{"xinet", env.ExitUsage, "", "xinet: service name is required\n"},
		{"xinet --service s --backend /b --listen unix:/dev/null", env.ExitFailed, "", "xinet: cannot listen on unix:/dev/null: there is something that is no socket"},
	} {
		var out, errOut bytes.Buffer
		e := &env.Env{Args: strings.Fields(c.args), Stdout: &out, Stderr: &errOut, Getenv: func(string) string { return "" }}
		if code := Main(e); code != c.code || !strings.HasPrefix(out.String(), c.out) || !strings.HasPrefix(errOut.String(), c.errOut) {
			t.Errorf("%s: %d, %q, %q", c.args, code, out.String(), errOut.String())
		}
	}
}

func TestTheSocketIsRemovedAtTheEnd(t *testing.T) {
	path := t.TempDir() + "/s"
	f, err := parseFlags([]string{"--listen", path, "--backend", "/b", "--service", "s"})
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGUSR1} {
		signals := make(chan os.Signal, 1)
		signals <- sig
		if err := serve(&env.Env{Stderr: new(bytes.Buffer), Getenv: func(string) string { return "" }}, f, signals); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("after %s the socket is left behind", sig)
		}
	}
}

package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const leastProxy = "[xinet]\nname = \"p\"\nlisten = \"tcp:127.0.0.1:1\"\nbackend = \"/b\"\nservice = \"s\"\n"

func TestFilesOfProxies(t *testing.T) {
	for _, c := range []struct {
		name, text, want string // empty: it is good
		check            func(p *Proxy) bool
	}{
		{"the least", leastProxy, "", func(p *Proxy) bool {
			return p.Name == "p" && p.Service == "s" && p.ConnectTimeout == 30*time.Second && p.IdleTimeout == 0 && len(p.Listen) == 1 && p.MaxConnections == 0
		}},
		{"all", strings.Replace(leastProxy, `"tcp:127.0.0.1:1"`, `["tcp::1", "unix:/a,mode=0666"]`, 1) +
			"connect_timeout = 10\nidle_timeout = \"5m\"\nidle_from = \"byte\"\nmax_connections = 7\non_busy = \"refuse\"\n", "", func(p *Proxy) bool {
			return len(p.Listen) == 2 && p.ConnectTimeout == 10*time.Second && p.IdleTimeout == 5*time.Minute && p.FromByte && p.MaxConnections == 7 && p.Refuse
		}},
		{"one at a time", leastProxy + "single_connection = true\n", "", func(p *Proxy) bool { return p.MaxConnections == 1 && p.Refuse }},
		{"one at a time, others wait", leastProxy + "single_connection = true\non_busy = \"queue\"\nidle_timeout = 0\n", "", func(p *Proxy) bool { return p.MaxConnections == 1 && !p.Refuse }},
		{"an unknown key", leastProxy + "idle_timout = 5\n", "6: xinet.idle_timout: warning: idle_timout is not a key of [xinet]: did you mean idle_timeout?", nil},
		{"without a service", strings.Replace(leastProxy, "service", "#", 1), "xinet.service: missing field `service`: write service = …", nil},
		{"a bad address", strings.Replace(leastProxy, "tcp:127.0.0.1:1", "5432", 1), `3: xinet.listen: "5432": it has no port`, nil},
		{"a bad name", strings.Replace(leastProxy, `"p"`, `"../p"`, 1), "2: xinet.name '../p' contains invalid characters", nil},
		{"to itself", strings.Replace(leastProxy, `"/b"`, `"tcp:127.0.0.1:1"`, 1), "the proxy would connect to itself", nil},
		{"a word that is none", leastProxy + "on_busy = \"wait\"\n", "'wait' is none of queue, refuse", nil},
		{"contradictions", leastProxy + "single_connection = true\nmax_connections = 3\n", "contradict each other", nil},
		{"less than nothing", leastProxy + "idle_timeout = -1\n", "from 0 on", nil},
		{"no timeout", leastProxy + "connect_timeout = 0\n", "connect_timeout must be more than 0", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "x.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			set, err := LoadDir(dir)
			if err != nil || len(set.Services) > 0 {
				t.Fatalf("%+v, %v", set, err)
			}
			var said string
			for _, p := range set.Problems {
				if p.Service != "" {
					t.Errorf("a problem of the service %s", p.Service)
				}
				said += p.String() + "\n"
			}
			if c.want != "" {
				if !strings.Contains(said, c.want) {
					t.Errorf("said %s, want %s", said, c.want)
				}
				return
			}
			if said != "" || len(set.Proxies) != 1 || !c.check(set.Proxies[0]) || set.Proxies[0].Source != path {
				t.Fatalf("%+v, %s", set.Proxies, said)
			}
			// It is written so that the same is read.
			p := set.Proxies[0]
			again := parse(path, RenderProxy(p), Defaults{})
			if !reflect.DeepEqual(again.proxy, p) || len(again.problems) > 0 {
				t.Errorf("written as\n%s which is %+v, %v, not %+v", RenderProxy(p), again.proxy, again.problems, p)
			}
		})
	}
}

func TestAProxyIsSavedInItsPlace(t *testing.T) {
	dir := t.TempDir()
	p := parse("", []byte(leastProxy), Defaults{}).proxy
	p.Source = ""
	path, kept, err := SaveProxy(dir, p)
	if err != nil || kept != "" || path != filepath.Join(dir, "p.xinet.toml") {
		t.Fatalf("%s, %q, %v", path, kept, err)
	}
	// In a file with a comment the comment is kept beside it.
	own := filepath.Join(dir, "own.toml")
	if err := errors.Join(os.Rename(path, own), os.WriteFile(own, []byte("# mine\n"+leastProxy), 0o600)); err != nil {
		t.Fatal(err)
	}
	set, err := LoadDir(dir)
	if err != nil || len(set.Proxies) != 1 {
		t.Fatalf("%+v, %v", set, err)
	}
	p = set.Proxies[0]
	p.IdleTimeout = time.Minute
	if path, kept, err = SaveProxy(dir, p); err != nil || path != own || kept != own+"~" {
		t.Fatalf("%s, %q, %v", path, kept, err)
	}
	set, _ = LoadDir(dir)
	if len(set.Proxies) != 1 || set.Proxies[0].IdleTimeout != time.Minute {
		t.Fatalf("%+v", set)
	}
	if err := UnlinkProxy(p); err != nil {
		t.Fatal(err)
	}
	if err := UnlinkProxy(p); err != nil {
		t.Errorf("it is gone already: %v", err)
	}
	// What is in the way is left alone.
	p.Source = ""
	if err := os.Mkdir(filepath.Join(dir, "p.xinet.toml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := SaveProxy(dir, p); err == nil {
		t.Error("a directory was replaced")
	}
}

func TestTheFileOfAProxyIsNoServiceOfThatName(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "web.toml"), []byte(leastProxy), 0o600); err != nil {
		t.Fatal(err)
	}
	if path, err := Unlink(dir, "web"); path != "" || err != nil {
		t.Errorf("removed %s, %v", path, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other.toml"), []byte(leastProxy), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := LoadDir(dir)
	if err != nil || len(set.Proxies) != 1 || len(set.Problems) != 1 || !strings.Contains(set.Problems[0].Message, "is also the name of the proxy in") {
		t.Errorf("%+v, %v", set, err)
	}
}

func TestWhoWantsAServiceIsToldThatItIsAProxy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.toml")
	if err := os.WriteFile(path, []byte(leastProxy), 0o600); err != nil {
		t.Fatal(err)
	}
	svc, problems := LoadFile(path)
	if svc != nil || len(problems) != 1 || problems[0].Severity != Error || !strings.Contains(problems[0].Message, "a proxy and no service") {
		t.Errorf("%+v, %v", svc, problems)
	}
	if svc, problems = Parse(path, []byte(leastProxy)); svc != nil || len(problems) != 1 {
		t.Errorf("%+v, %v", svc, problems)
	}
	svc, p, problems := LoadEither(path)
	if svc != nil || p == nil || p.Name != "p" || len(problems) > 0 {
		t.Errorf("%+v, %+v, %v", svc, p, problems)
	}
}

func TestProxiesFromJSON(t *testing.T) {
	const least = `"name":"p","backend":"127.0.0.1:1","service":"s"`
	for text, want := range map[string]string{
		`{` + least + `,"listen":["/a"],"connect_timeout":30,"idle_timeout":0,"single_connection":false}`: "",
		`{` + least + `,"listen":"/a","idle_timeout":0.5,"more":1,"on_busy":null}`:                        "",
		`{"listen":["/a"],"backend":"/b","service":"s"}`:                                                  "missing field `name`",
		`[1]`:                            "invalid type: sequence, expected struct XinetConfig",
		`{` + least + `,"listen":[]}`:    "at least one listen address is required",
		`{` + least + `,"listen":[7]}`:   "contains the number 7",
		`{` + least + `,"listen":["x"]}`: `"x": it has no port`,
		`{"name":"","listen":["/a"],"backend":"/b","service":""}`: "name is required; service name is required",
	} {
		p, err := ProxyFromJSON([]byte(text))
		switch {
		case want == "" && (err != nil || p.Name != "p" || len(p.Listen) != 1):
			t.Errorf("%s: %+v, %v", text, p, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestDaemonsComeUpOnDemand: redis, PostgreSQL and nginx behind proxies over TCP, and
// redis over a unix socket, too. Nothing runs until a client comes; what it needs comes
// up with all that this requires; and all of it goes down again, in order, when the
// clients have left.
func TestDaemonsComeUpOnDemand(t *testing.T) {
	s := newShop(t)
	files, err := filepath.Glob(filepath.Join(s.config, "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		resting := strings.Replace(string(text), "[service]\n", "[service]\n"+stopped+"\n", 1)
		if err := os.WriteFile(f, []byte(resting), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fronts := freePorts(t, 3)
	socket := filepath.Join(s.dir, "redis.sock")
	for i, p := range []struct {
		service string
		port    *int
		listen  string
	}{{"cache", &s.cachePort, fmt.Sprintf(", %q", "unix:"+socket)}, {"db", &s.dbPort, ""}, {"web", &s.webPort, ""}} {
		s.write(p.service+".xinet.toml", fmt.Sprintf("[xinet]\nname = %q\nlisten = [\"127.0.0.1:%d\"%s]\nbackend = \"127.0.0.1:%d\"\nservice = %q\nidle_timeout = \"300ms\"\n",
			p.service, fronts[i], p.listen, *p.port, p.service))
		*p.port = fronts[i]
	}
	s.launch()
	s.waitState("cache db web", "inactive")
	if got := s.get(); got != "open\n" { // and so the other two run, and the database was made
		t.Errorf("nginx answers %q", got)
	}
	s.serves()
	s.redis("set", "key", strings.Repeat("v", 1<<16))
	if got := s.run("redis-cli", "-s", socket, "strlen", "key"); got != strconv.Itoa(1<<16) {
		t.Errorf("redis has %s bytes", got)
	}
	s.run("redis-benchmark", "-p", strconv.Itoa(s.cachePort), "-n", "2000", "-c", "20", "-q", "-t", "get,set,lrange_100")
	if got := s.sql("select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 4000)"); got != "4000000" {
		t.Errorf("PostgreSQL answers %q", got)
	}
	s.waitState("cache db web", "exited")
	s.before("service=web run=1 from=running to=stopping", "service=db run=1 from=running to=stopping")
	s.serves()
	s.shutdown()
}

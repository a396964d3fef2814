package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestDaemonsComeUpOnDemand: redis, PostgreSQL and nginx behind proxies, over TCP and
// over unix sockets. Nothing runs until a client comes; what it needs comes
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
	socket := func(name string) string { return filepath.Join(s.dir, name) }
	for i, p := range []struct {
		service string
		port    *int
		socket  string
	}{{"cache", &s.cachePort, "redis.sock"}, {"db", &s.dbPort, ".s.PGSQL.5432"}, {"web", &s.webPort, "web.sock"}} {
		s.write(p.service+".xinet.toml", fmt.Sprintf("[xinet]\nname = %q\nlisten = [\"127.0.0.1:%d\", %q]\nbackend = \"127.0.0.1:%d\"\nservice = %q\nidle_timeout = \"300ms\"\n",
			p.service, fronts[i], "unix:"+socket(p.socket), *p.port, p.service))
		*p.port = fronts[i]
	}
	s.launch()
	s.waitState("cache db web", "inactive")
	if got := s.get(); got != "open\n" { // and so the other two run, and the database was made
		t.Errorf("nginx answers %q", got)
	}
	s.serves()
	s.redis("set", "key", strings.Repeat("v", 1<<16))
	if got := s.run("redis-cli", "-s", socket("redis.sock"), "strlen", "key"); got != strconv.Itoa(1<<16) {
		t.Errorf("redis has %s bytes", got)
	}
	s.run("redis-benchmark", "-p", strconv.Itoa(s.cachePort), "-n", "2000", "-c", "20", "-q", "-t", "get,set,lrange_100")
	if got := s.sql("select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 4000)"); got != "4000000" {
		t.Errorf("PostgreSQL answers %q", got)
	}
	if got := s.run("psql", "-h", s.dir, "-p", "5432", "-U", "postgres", "-Atqc", "select 6 * 7"); got != "42" {
		t.Errorf("PostgreSQL answers %q", got)
	}
	manyGet(t, "tcp", fmt.Sprintf("127.0.0.1:%d", s.webPort))
	manyGet(t, "unix", socket("web.sock"))
	s.waitState("cache db web", "exited")
	s.before("service=web run=1 from=running to=stopping", "service=db run=1 from=running to=stopping")
	s.serves()
	s.shutdown()
}

// manyGet has many clients ask nginx for its page, again and again on one connection each.
func manyGet(t *testing.T, network, address string) {
	t.Helper()
	const clients, requests = 50, 100
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, address)
			}}
			defer transport.CloseIdleConnections()
			client := http.Client{Timeout: patience, Transport: transport}
			for range requests {
				if got, err := pageOf(&client); got != "open\n" || err != nil {
					t.Errorf("over %s nginx answers %q, %v", network, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func pageOf(client *http.Client) (string, error) {
	resp, err := client.Get("http://nginx/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

package main_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A shop is the services of testdata/demo: redis-server as cache, PostgreSQL as
// db with db-init before it, and nginx as web, which requires both.
type shop struct {
	*instance
	cachePort, dbPort, webPort int
}

// openShop starts the shop on ports that are free and returns when it is open.
func openShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.launch()
	s.waitState("cache db web", "running")
	return s
}

// newShop writes the files of a shop and starts nothing.
func newShop(t *testing.T) *shop {
	t.Helper()
	path := shopPath(t)
	s := &shop{instance: newInstance(t, nil, "--log-level", "debug")}
	s.env = append(s.env, "PATH="+path)
	ports := freePorts(t, 3)
	s.cachePort, s.dbPort, s.webPort = ports[0], ports[1], ports[2]
	for _, name := range []string{"cache", "db", "web"} {
		if err := os.Mkdir(filepath.Join(s.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fill := strings.NewReplacer("@DIR@", s.dir, "@AS_POSTGRES@ ", s.asPostgres(),
		"@CACHE_PORT@", strconv.Itoa(s.cachePort), "@DB_PORT@", strconv.Itoa(s.dbPort), "@WEB_PORT@", strconv.Itoa(s.webPort))
	files, err := filepath.Glob("testdata/demo/services/*.toml")
	if err != nil || len(files) != 4 {
		t.Fatalf("the services are %v, %v", files, err)
	}
	for _, f := range append(files, "testdata/demo/nginx.conf") {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(s.config, filepath.Base(f))
		if strings.HasSuffix(f, ".conf") {
			name = filepath.Join(s.dir, filepath.Base(f))
		}
		if err := os.WriteFile(name, []byte(fill.Replace(string(text))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// asPostgres is what runs a command as a user that PostgreSQL accepts, and gives
// that user the directory of the database. PostgreSQL refuses to run as root.
func (s *shop) asPostgres() string {
	s.t.Helper()
	if os.Geteuid() != 0 {
		return ""
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		s.t.Skip("there is no user postgres: install postgresql")
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err1 != nil || err2 != nil {
		s.t.Fatal(err1, err2)
	}
	if err := os.Chown(filepath.Join(s.dir, "db"), uid, gid); err != nil {
		s.t.Fatal(err)
	}
	return "setpriv --reuid postgres --regid postgres --init-groups "
}

// shopPath is a PATH with all programs of the shop; without them the test is
// skipped. Debian keeps those of PostgreSQL in a directory for each version.
func shopPath(t *testing.T) string {
	t.Helper()
	path := os.Getenv("PATH") + ":/usr/sbin"
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.Reverse(dirs)
	path = strings.Join(append(dirs, path), ":")
	t.Setenv("PATH", path)
	var missing []string
	for _, p := range []struct{ program, pkg string }{
		{"redis-server", "redis-server"}, {"redis-cli", "redis-tools"}, {"nginx", "nginx"},
		{"postgres", "postgresql"}, {"psql", "postgresql-client"}, {"setpriv", "util-linux"},
	} {
		if _, err := exec.LookPath(p.program); err != nil {
			missing = append(missing, p.pkg)
		}
	}
	if missing != nil {
		t.Skip("missing daemons: apt-get install " + strings.Join(missing, " "))
	}
	return path
}

// givenPorts are those that freePorts has given to somebody who may not listen yet.
var givenPorts sync.Map

// freePorts are ports of 127.0.0.1 that nobody listens on, below those that the
// kernel gives to connections of its own choice. No other test is given the same.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	var err error
	for range 1000 {
		var ln net.Listener
		port := 20000 + rand.IntN(12000)
		if _, given := givenPorts.LoadOrStore(port, nil); given {
			continue
		}
		ln, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		// All stay open until the end, so that none comes twice.
		defer ln.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports
		}
	}
	t.Fatalf("no free ports: %v", err)
	return nil
}

// run runs a client of a daemon and returns what it printed.
func (s *shop) run(program string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *shop) redis(args ...string) string {
	s.t.Helper()
	return s.run("redis-cli", append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.cachePort)}, args...)...)
}

func (s *shop) sql(statement string) string {
	s.t.Helper()
	return s.run("psql", "-h", "127.0.0.1", "-p", strconv.Itoa(s.dbPort), "-U", "postgres", "-Atqc", statement)
}

// get asks nginx for its page.
func (s *shop) get() string {
	s.t.Helper()
	// Each time on a connection of its own: nginx may be another than before.
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", s.webPort))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body)
}

// serves fails the test when one of the three daemons does not do its work.
func (s *shop) serves() {
	s.t.Helper()
	if got := s.redis("ping"); got != "PONG" {
		s.t.Errorf("redis answers %q", got)
	}
	if got := s.sql("select 6 * 7"); got != "42" {
		s.t.Errorf("PostgreSQL answers %q", got)
	}
	if got := s.get(); got != "open\n" {
		s.t.Errorf("nginx answers %q", got)
	}
}

// before fails the test unless the log has a line with the first words earlier
// than any line with the second.
func (s *shop) before(first, second string) {
	s.t.Helper()
	s.tells(first) // both are written by now, and read soon
	s.tells(second)
	log := s.log.String()
	a, b := strings.Index(log, first), strings.Index(log, second)
	if a < 0 || b < 0 || a > b {
		s.t.Errorf("not in this order in the log: %q (at %d), %q (at %d)", first, a, second, b)
	}
}

// startTime is when the main process of a service was started, in ticks since
// the boot. The process has to be the daemon itself, and no shell around it.
func (s *shop) startTime(service, daemon string) int {
	s.t.Helper()
	p, ok := processOf(s.pid(service))
	if !ok || p.name != daemon {
		s.t.Fatalf("the process of %s is %s, not %s", service, p, daemon)
	}
	ticks, err := strconv.Atoi(p.start)
	if err != nil {
		s.t.Fatal(err)
	}
	return ticks
}

// runs are the run numbers of the daemons.
func (s *shop) runs() map[string]uint64 {
	s.t.Helper()
	runs := map[string]uint64{}
	for _, name := range []string{"cache", "db", "web"} {
		runs[name] = s.status(name).Run
	}
	return runs
}

func TestDaemonsComeUpInOrderAndLeaveNothingBehind(t *testing.T) {
	s := openShop(t)
	s.serves()
	cache, db, web := s.startTime("cache", "redis-server"), s.startTime("db", "postgres"), s.startTime("web", "nginx")
	if web < db || web < cache {
		t.Errorf("started at ticks cache %d, db %d, web %d: web has to be last", cache, db, web)
	}
	s.waitState("db-init", "exited")
	s.before("service=db-init run=1 from=running to=exited", "service=db run=1")
	s.before("service=db run=1 from=starting to=running", "service=web run=1")
	s.before("service=cache run=1 from=starting to=running", "service=web run=1")
	for _, name := range []string{"cache", "db", "web"} {
		if got := s.status(name).Health; got != "healthy" {
			t.Errorf("health of %s is %q", name, got)
		}
	}
	s.shutdown()
	s.before("service=web run=1 from=stopping to=exited", "service=db run=1 from=running to=stopping")
	s.before("service=web run=1 from=stopping to=exited", "service=cache run=1 from=running to=stopping")
}

func TestDaemonsAreHealedAfterKill9(t *testing.T) {
	s := openShop(t)
	s.sql("create table t (v text)")
	s.sql("insert into t values ('kept')")
	for _, victim := range []string{"cache", "db", "web"} {
		runs := s.runs()
		// nginx's workers hold its port, and nobody but the supervisor ends them.
		brood := descendants(s.pid(victim))
		if victim != "cache" && len(brood) == 0 {
			t.Errorf("%s has no workers", victim)
		}
		healed := s.waitRun(victim, s.kill9(victim))
		if healed.Restarts == 0 {
			t.Errorf("%s does not count its restart", victim)
		}
		for name, run := range s.runs() {
			if name != victim && run != runs[name] {
				t.Errorf("%s was restarted, too, when %s was killed", name, victim)
			}
		}
		for _, p := range alive(brood) {
			t.Errorf("%s: the worker of a killed process lives beside the next one: %s", victim, p)
		}
		s.serves()
	}
	if got := s.sql("select v from t"); got != "kept" {
		t.Errorf("the database has %q", got)
	}
	s.shutdown()
}

func TestStopOfTheDatabaseCascadesAndStartBringsAllBack(t *testing.T) {
	for _, by := range []string{"db", "web"} {
		t.Run("start "+by, func(t *testing.T) {
			s := openShop(t)
			runs := s.runs()
			s.must("stop", "db", "--wait", "--timeout", "30s")
			s.before("service=web run=1 from=stopping to=blocked", "service=db run=1 from=running to=stopping")
			s.waitState("web", "blocked")
			s.waitState("db", "exited")
			if got := s.must("why", "web"); !strings.Contains(got, "web (blocked)") || !strings.Contains(got, "waiting on db") {
				t.Errorf("why web says\n%s", got)
			}
			if got := s.status("web").Reason; !strings.Contains(got, "waiting on db") || !strings.Contains(got, "start it") {
				t.Errorf("the reason of web is %q", got)
			}
			if got := s.redis("ping"); got != "PONG" || s.status("cache").Run != runs["cache"] {
				t.Errorf("cache has nothing to do with it, but it answers %q in run %d", got, s.status("cache").Run)
			}
			s.must("start", by)
			s.waitState("db web", "running")
			s.serves()
			s.shutdown()
		})
	}
}

// occupy takes a port without listening on it, so that a probe does not take it
// for the daemon's, until release is called.
func occupy(t *testing.T, port int) (release func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() { syscall.Close(fd) })
	t.Cleanup(release)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return release
}

func TestDaemonsComeUpWhenAnObstacleGoes(t *testing.T) {
	s := newShop(t)
	release := occupy(t, s.cachePort)
	s.launch()
	s.waitState("db", "running")
	s.waitState("web", "blocked")
	s.until("a failure of cache in the reason of web", func() (string, bool) {
		why := s.must("why", "web")
		return why, strings.Contains(why, "waiting on cache (failed)") && !strings.Contains(why, "waiting on db")
	})
	release()
	s.waitState("cache web", "running")
	s.serves()
	s.shutdown()
}

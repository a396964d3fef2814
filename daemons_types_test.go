package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Real daemons, each in the way that it is made to be supervised.

// needPrograms puts the directories where Debian keeps daemons into PATH, and skips
// the test when one of these PROGRAM=PACKAGE is missing.
func needPrograms(t *testing.T, needs ...string) (path string) {
	t.Helper()
	path = os.Getenv("PATH") + ":/usr/sbin:/sbin"
	if dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin"); len(dirs) > 0 { // the pattern is good
		path = dirs[len(dirs)-1] + ":" + path
	}
	var missing []string
	for _, need := range needs {
		program, pkg, _ := strings.Cut(need, "=")
		there := false
		for _, dir := range filepath.SplitList(path) {
			if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
				there = true
			}
		}
		if !there {
			missing = append(missing, pkg)
		}
	}
	if missing != nil {
		t.Skip("missing daemons: apt-get install " + strings.Join(missing, " "))
	}
	return path
}

// daemonHouse is an instance whose services find daemons.
func daemonHouse(t *testing.T, needs ...string) *instance {
	t.Helper()
	path := needPrograms(t, needs...)
	in := newInstance(t, nil)
	in.env = append(in.env, "PATH="+path)
	return in
}

// answer reads the first line that comes over a connection, after something was sent.
func answer(port int, send string) (string, error) {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := io.WriteString(c, send); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line), err
}

// answers waits until it is so.
func (in *instance) answers(port int, send, want string) {
	in.t.Helper()
	in.until("an answer of port "+strconv.Itoa(port), func() (string, bool) {
		line, err := answer(port, send)
		return fmt.Sprint(line, err), strings.HasPrefix(line, want)
	})
}

// TestRedisSaysWhenItIsReady, and what requires it starts no sooner.
func TestRedisSaysWhenItIsReady(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "redis-server=redis-server", "redis-cli=redis-tools")
	port := freePorts(t, 1)[0]
	exec := fmt.Sprintf("redis-server --bind 127.0.0.1 --port %d --dir %s --save '' --supervised systemd --daemonize no", port, in.dir)
	in.write("cache", file("cache", exec, `type = "notify"`, lifecycle, "restart_delay_ms = 1"))
	// It fails for good unless redis answers at once.
	in.write("client", file("client", fmt.Sprintf("redis-cli -e -h 127.0.0.1 -p %d ping", port), "oneshot = true", noRestart, "[dependencies]", `requires = ["cache"]`))
	in.launch()
	in.waitState("cache", "running")
	in.waitState("client", "exited")
	if log := in.must("logs", "client"); !strings.Contains(log, "PONG") {
		t.Errorf("the client says %q", log)
	}
	in.must("restart", "cache")
	in.until("another run", func() (string, bool) { s := in.status("cache"); return fmt.Sprint(s), s.Run == 2 })
	in.waitState("cache", "running")
	in.waitRun("cache", in.kill9("cache"))
	in.answers(port, "PING\r\n", "+PONG")
	in.shutdown()
}

// nginxConf makes nginx answer with a word on a port.
func nginxConf(t *testing.T, dir, word string, port int, rest string) {
	t.Helper()
	text := fmt.Sprintf(`%s
worker_processes 2;
error_log %[2]s/error.log;
events {}
http {
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	access_log off;
	server {
		listen 127.0.0.1:%[3]d;
		location / { default_type text/plain; return 200 "%[4]s\n"; }
	}
}
`, rest, dir, port, word)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// page is what nginx answers.
func page(port int) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body)), err
}

// TestNginxForksAndIsKeptUp with a pid file and without one.
func TestNginxForksAndIsKeptUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		pid    bool
		reload string
	}{
		{"by its pid file", true, "exec_reload = \"nginx -e stderr -p %[1]s -c %[1]s/nginx.conf -s reload\""},
		{"by what survives", false, `reload_signal = "HUP"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := daemonHouse(t, "nginx=nginx")
			port := freePorts(t, 1)[0]
			pidFile, key := filepath.Join(in.dir, "nginx.pid"), ""
			if c.pid {
				key = fmt.Sprintf("pid_file = %q", pidFile)
			}
			reload := c.reload
			if c.pid {
				reload = fmt.Sprintf(c.reload, in.dir)
			}
			nginxConf(t, in.dir, "first", port, "pid "+pidFile+";")
			in.write("web", file("web", fmt.Sprintf("nginx -e stderr -p %[1]s -c %[1]s/nginx.conf", in.dir),
				`type = "forking"`, key, reload, lifecycle, "restart_delay_ms = 1", `stop_signal = "SIGQUIT"`))
			in.launch()
			in.waitState("web", "running")
			master := in.pid("web")
			if text, err := os.ReadFile(pidFile); strings.TrimSpace(string(text)) != strconv.Itoa(master) {
				t.Errorf("its main process is %d, its pid file has %q, %v", master, text, err)
			}
			if got, err := page(port); got != "first" {
				t.Errorf("it answers %q, %v", got, err)
			}
			// It reads its configuration again, as the same process.
			nginxConf(t, in.dir, "second", port, "pid "+pidFile+";")
			if err := in.dial().SignalReload(shortly(t), "web"); err != nil {
				t.Fatal(err)
			}
			in.until("the second word", func() (string, bool) {
				got, err := page(port)
				return fmt.Sprint(got, err), got == "second"
			})
			if now := in.status("web"); now.State.PID != master || now.Run != 1 {
				t.Errorf("it is %+v", now)
			}
			// It is healed, by a server that has not started it.
			in.replaceServer()
			brood := descendants(in.pid("web"))
			healed := in.waitRun("web", in.kill9("web"))
			if healed.State.PID == master || len(brood) < 2 {
				t.Errorf("it is %+v, its workers were %v", healed, brood)
			}
			if left := alive(brood); len(left) > 0 {
				t.Errorf("workers of the one before live: %v", left)
			}
			in.until("the page again", func() (string, bool) {
				got, err := page(port)
				return fmt.Sprint(got, err), got == "second"
			})
			in.must("stop", "web")
			in.waitState("web", "exited")
			if _, err := page(port); err == nil {
				t.Error("it answers though it is stopped")
			}
			in.shutdown()
		})
	}
}

// TestPostgreSQLIsPreparedByHooksAndSaysWhenItIsReady, as a user of its own.
func TestPostgreSQLIsPreparedByHooksAndSaysWhenItIsReady(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "postgres=postgresql", "initdb=postgresql", "psql=postgresql-client")
	port := freePorts(t, 1)[0]
	data, as := filepath.Join(in.dir, "db"), ""
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skip("there is no user postgres: install postgresql")
		}
		uid, _ := strconv.Atoi(u.Uid) // they are numbers on Linux
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(data, uid, gid); err != nil {
			t.Fatal(err)
		}
		as = `user = "postgres"`
	}
	in.write("db", file("db", fmt.Sprintf("postgres -D %s -h 127.0.0.1 -p %d -c unix_socket_directories=", data, port),
		`type = "notify"`, as, fmt.Sprintf("dir = %q", data), `env = { LC_ALL = "C" }`, `umask = "0077"`,
		`exec_start_pre = "sh -c 'test -s PG_VERSION || initdb -D . --auth=trust --username=postgres --no-sync'"`,
		fmt.Sprintf(`exec_start_post = "psql -h 127.0.0.1 -p %d -U postgres -c 'create table if not exists t (v text)'"`, port),
		fmt.Sprintf(`exec_reload = "pg_ctl -D %s reload"`, data),
		lifecycle, "restart_delay_ms = 1", `stop_signal = "SIGINT"`, `kill_mode = "mixed"`, "start_timeout_ms = 120000", "hook_timeout_ms = 120000"))
	in.launch()
	in.must("wait", "--state", "running", "--timeout", "120s", "db")
	sql := func(statement string) string {
		t.Helper()
		cmd := exec.Command("psql", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "postgres", "-Atqc", statement)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", statement, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	sql("insert into t values ('kept')")
	if as != "" {
		if got := factsOf(t, in.pid("db"))("status", "Uid:"); strings.HasPrefix(got, "0 ") {
			t.Errorf("it runs as %s", got)
		}
	}
	// It re-reads its file when it is told to.
	f, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("work_mem = '7MB'\n")
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := in.dial().SignalReload(shortly(t), "db"); err != nil {
		t.Fatal(err)
	}
	in.until("the new setting", func() (string, bool) { got := sql("show work_mem"); return got, got == "7MB" })
	in.waitRun("db", in.kill9("db"))
	if got := sql("select v from t"); got != "kept" {
		t.Errorf("the database has %q", got)
	}
	in.shutdown()
}

// TestSshdIsKeptUp in the foreground, where it says when it is ready, and forking.
func TestSshdIsKeptUp(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "sshd=openssh-server")
	if os.Geteuid() == 0 {
		// The package makes it only when its service is started.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skip(err)
		}
	}
	sshd, err := exec.LookPath("/usr/sbin/sshd") // it insists on its whole path
	if err != nil {
		t.Skip(err)
	}
	key := hostKey(t, in.dir)
	ports := freePorts(t, 2)
	line := func(port int, rest string) string {
		return fmt.Sprintf("%s -f /dev/null -h %s -o ListenAddress=127.0.0.1:%d -o PidFile=%s/%d.pid %s", sshd, key, port, in.dir, port, rest)
	}
	in.write("foreground", file("foreground", line(ports[0], "-D"), `type = "notify"`, lifecycle, "restart_delay_ms = 1"))
	in.write("forking", file("forking", line(ports[1], ""), `type = "forking"`, fmt.Sprintf(`pid_file = "%s/%d.pid"`, in.dir, ports[1]), lifecycle, "restart_delay_ms = 1"))
	in.launch()
	in.waitState("foreground forking", "running")
	for i, name := range []string{"foreground", "forking"} {
		if line, err := answer(ports[i], ""); !strings.HasPrefix(line, "SSH-2.0-") {
			t.Errorf("%s answers %q, %v", name, line, err)
		}
		text, err := os.ReadFile(fmt.Sprintf("%s/%d.pid", in.dir, ports[i]))
		if got := strings.TrimSpace(string(text)); got != strconv.Itoa(in.pid(name)) {
			t.Errorf("%s runs as %d, its pid file has %s, %v", name, in.pid(name), got, err)
		}
		in.waitRun(name, in.kill9(name))
		in.answers(ports[i], "", "SSH-2.0-")
	}
	in.shutdown()
}

// hostKey makes a key for sshd.
func hostKey(t *testing.T, dir string) string {
	t.Helper()
	if gen, err := exec.LookPath("ssh-keygen"); err == nil {
		path := filepath.Join(dir, "host_key")
		if out, err := exec.Command(gen, "-q", "-t", "ed25519", "-N", "", "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return path
	}
	t.Skip("there is no ssh-keygen: apt-get install openssh-client")
	return ""
}

// TestAGettyHasItsTerminal: agetty asks for a name on it, and logs nobody in.
func TestAGettyHasItsTerminal(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "agetty=util-linux")
	master, slave := terminal(t)
	defer master.Close()
	in.write("getty", file("getty", "agetty --noclear --noissue --login-program /bin/false --login-pause - linux",
		fmt.Sprintf("tty = %q", slave), `type = "idle"`, lifecycle, "restart = \"always\"", "restart_delay_ms = 1"))
	in.launch()
	in.waitState("getty", "running")
	pid := in.pid("getty")
	p, buf, text := factsOf(t, pid), make([]byte, 4096), ""
	in.until("the question of the getty", func() (string, bool) {
		n, err := master.Read(buf)
		text += string(buf[:n])
		return fmt.Sprint(text, err), strings.Contains(text, "ress ENTER")
	})
	fields := strings.Fields(p("stat", strconv.Itoa(pid)+" (agetty)"))
	// State, parent, group, session, terminal, foreground group.
	own := strconv.Itoa(pid)
	if len(fields) < 6 || fields[2] != own || fields[3] != own || fields[4] == "0" || fields[5] != own {
		t.Errorf("its group, session, terminal and foreground group are %v", fields[:min(6, len(fields))])
	}
	for fd := range 3 {
		if link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd)); fd == 0 && link != slave {
			t.Errorf("descriptor %d is %s, %v", fd, link, err)
		}
	}
	in.waitRun("getty", in.kill9("getty"))
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("%d lives on", pid)
	}
}

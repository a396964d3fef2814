package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// siderosFile is a file of testdata/sideros, which is as the documentation of
// sideros-start has it, but for what is of this machine: each old text must be there.
func siderosFile(t *testing.T, name string, oldnew ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "sideros", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("%s has no %s", name, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	return text
}

// siderosData makes the directory of a database that may be reached on 127.0.0.1
// alone, and returns whose it is.
func siderosData(t *testing.T, initdb, dir string) (owner, group string) {
	t.Helper()
	u, err := user.Current()
	if os.Geteuid() == 0 {
		u, err = user.Lookup("postgres")
	}
	if err != nil {
		t.Skip("there is no user postgres: install postgresql")
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // they are numbers on Linux
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	make := exec.Command(initdb, "-D", filepath.Join(dir, "data"), "--auth=trust", "--username=postgres", "--no-sync")
	if os.Geteuid() == 0 {
		make = exec.Command("setpriv", append([]string{"--reuid", u.Uid, "--regid", u.Gid, "--init-groups"}, make.Args...)...)
	}
	make.Dir = dir
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("unix_socket_directories = ''\nlisten_addresses = '127.0.0.1'\n"); err != nil {
		t.Fatal(err)
	}
	return u.Username, g.Name
}

// TestTheExamplesOfSiderosStartRunRealDaemons: nginx and PostgreSQL, with the global
// file, under start init, and what its command line says of them.
func TestTheExamplesOfSiderosStartRunRealDaemons(t *testing.T) {
	t.Parallel()
	in := daemonHouse(t, "nginx=nginx", "postgres=postgresql", "initdb=postgresql", "psql=postgresql-client", "setpriv=util-linux")
	path := strings.TrimPrefix(in.env[len(in.env)-1], "PATH=")
	find := func(program string) string {
		for _, dir := range filepath.SplitList(path) {
			if info, err := os.Stat(filepath.Join(dir, program)); err == nil && info.Mode()&0o111 != 0 {
				return filepath.Join(dir, program)
			}
		}
		t.Fatal("there is no " + program)
		return ""
	}
	ports := freePorts(t, 2)
	db := filepath.Join(in.dir, "postgresql")
	owner, group := siderosData(t, find("initdb"), db)
	nginxConf(t, in.dir, "open", ports[0], "pid "+in.path("nginx.pid")+";")
	in.write("nginx", siderosFile(t, "nginx.toml", "/usr/sbin/nginx", fmt.Sprintf("%s -e stderr -p %[2]s -c %[2]s/nginx.conf", find("nginx"), in.dir), "5s", "5ms"))
	in.write("postgresql", siderosFile(t, "postgresql.toml", "/usr/bin/postgres", find("postgres"), "/var/lib/postgresql", db,
		"5432", strconv.Itoa(ports[1]), `user = "postgres"`, "user = \""+owner+"\"", `group = "postgres"`, "group = \""+group+"\"", "10s", "10ms"))
	global := siderosFile(t, "start.toml", "/etc/sideros/services", in.config, "/run/sideros", in.path("run"))
	in.startInit(global)
	in.launch()
	in.must("wait", "--timeout", "90s", "nginx", "postgresql")
	in.until("the page of nginx, which does not say when it is ready", func() (string, bool) {
		got, err := page(ports[0])
		return fmt.Sprint(got, err), got == "open"
	})
	sql := func() string {
		out, _ := exec.Command(find("psql"), "-h", "127.0.0.1", "-p", strconv.Itoa(ports[1]), "-U", "postgres", "-Atqc", "select 6 * 7").CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	if got := sql(); got != "42" { // it has said that it is ready
		t.Errorf("PostgreSQL answers %q", got)
	}
	out := in.siderosStart(0, "list")
	for _, name := range []string{"nginx", "postgresql"} {
		if want := fmt.Sprintf("%-20s active (pid: %d)\n", name, in.pid(name)); !strings.Contains(out, want) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}
	in.mayTake("nginx", 60000, 30000) // says the global file
	in.mayTake("postgresql", 90000, 30000)
	in.waitRun("nginx", in.kill9("nginx"))
	in.waitRun("postgresql", in.kill9("postgresql"))
	in.until("both again", func() (string, bool) {
		got, err := page(ports[0])
		return fmt.Sprint(got, err, sql()), got == "open" && sql() == "42"
	})
	in.shutdown()
}

// mayTake checks how long a service may take to start and to stop, in milliseconds.
func (in *instance) mayTake(service string, start, stop int64) {
	in.t.Helper()
	now, err := in.dial().Get(shortly(in.t), service)
	if err != nil {
		in.t.Fatal(err)
	}
	if l := now.Lifecycle; *l.StartTimeoutMs != start || *l.StopTimeoutMs != stop {
		in.t.Errorf("%s may take %d ms to start and %d ms to stop, want %d and %d", service, *l.StartTimeoutMs, *l.StopTimeoutMs, start, stop)
	}
}

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// script makes a program of the shell's.
func script(t *testing.T, path, text string) {
	t.Helper()
	executable(t, path, []byte("#!/bin/sh\n"+text+"\n"))
}

// executable makes a program. Nothing is forked meanwhile: a process that has it open for
// writing would keep it from being executed.
func executable(t *testing.T, path string, text []byte) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		syscall.ForkLock.RLock()
		err = os.WriteFile(path, text, 0o755)
		syscall.ForkLock.RUnlock()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// web answers everything on a port of 127.0.0.1: web --port N.
func web() int {
	fmt.Println("in mode", os.Getenv("MODE"))
	err := http.ListenAndServe("127.0.0.1:"+os.Args[len(os.Args)-1], http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// examples are what the documentation of services has in a language.
func examples(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	return out
}

// TestTheExamplesOfTheDocumentationOfServicesRun as they stand there, but for paths,
// which are below a directory of their own, a port, and what not everybody may: to
// become another user, and to have more files than the tests. Their programs are ones
// that behave as the text says.
func TestTheExamplesOfTheDocumentationOfServicesRun(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	port := strconv.Itoa(freePorts(t, 1)[0])
	path := regexp.MustCompile(`(["\s]-?)(/(?:usr|srv|var|etc)/)`)
	nobody := regexp.MustCompile(`(?m)^user = .*\n`)
	name := regexp.MustCompile(`(?m)^name = "(.*)"`)
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, text := range examples(t, "toml") {
		text = strings.ReplaceAll(text, ":65536", fmt.Sprint(":", min(files.Max, 65536)))
		text = path.ReplaceAllString(text, "${1}"+in.dir+"${2}")
		text = strings.ReplaceAll(text, "8080", port)
		if _, err := user.Lookup("postgres"); err != nil || os.Geteuid() != 0 {
			text = nobody.ReplaceAllString(text, "")
		}
		one := name.FindStringSubmatch(text)[1]
		if !slices.Contains(names, one) {
			in.write(one, text)
		}
		names = append(names, one)
	}
	// The other web has a test of its own.
	if got := strings.Join(names, " "); got != "web migrate db backup multi-user web" {
		t.Fatalf("the examples are %s: have them run here", got)
	}
	// Other users must be able to execute it.
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	executable(t, in.path("actor"), self)
	postgres := strings.Replace(acts(t, "tell", "READY=1", "serve"), os.Args[0], in.path("actor"), 1)
	called := func(rest string) string { return "echo \"${0##*/} $*\"" + rest + " >>" + in.path("calls") }
	for file, text := range map[string]string{
		"usr/bin/web":                     "exec " + childExec(t, "web") + " \"$@\"",
		"usr/bin/migrate":                 called(""),
		"usr/bin/backup":                  called(" $(nice)"),
		"usr/bin/db-check":                called(""),
		"usr/bin/db-control":              called(""),
		"usr/lib/postgresql/bin/postgres": called("") + "\nulimit -Sn\nexec " + postgres,
	} {
		script(t, in.path(file), text)
	}
	for _, dir := range []string{"srv/web", "var/lib/db", "var/log"} {
		if err := os.MkdirAll(in.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in.path("calls"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(in.path("calls"), 0o666); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	in.launch()
	in.waitState("multi-user web db", "running")
	in.waitState("migrate", "exited")
	in.must("restart", "backup")
	in.until("the backup", func() (string, bool) {
		s := in.status("backup")
		return fmt.Sprintf("%+v", s), s.Run > 0 && s.State.State == "exited"
	})
	in.until("a good health of web", func() (string, bool) { h := in.status("web").Health; return h, h == "healthy" })
	if err := in.dial().SignalReload(shortly(t), "db"); err != nil {
		t.Fatal(err)
	}
	var calls string
	for _, want := range []string{
		"db-check " + in.dir + "/var/lib/db\npostgres -D " + in.dir + "/var/lib/db\n",
		"migrate --to latest\n", "backup --all 10\n", "db-control reload\n",
	} {
		in.until("a call of "+want, func() (string, bool) {
			text, err := os.ReadFile(in.path("calls"))
			calls = fmt.Sprint(string(text), err)
			return calls, strings.Contains(calls, want)
		})
	}
	if got := in.must("logs", "web"); !strings.Contains(got, "in mode production") {
		t.Errorf("the log of web is %q", got)
	}
	in.until("the limit in the log file of db", func() (string, bool) {
		text, err := os.ReadFile(in.path("var/log/db.log"))
		return fmt.Sprint(string(text), err), strings.Contains(string(text), "4096\n")
	})
	if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", in.pid("web"))); dir != in.path("srv/web") {
		t.Errorf("web is in %s, %v", dir, err)
	}
	list, err := in.dial().Timers(shortly(t))
	if err != nil || len(list) != 1 || list[0].Name != "backup" || list[0].NextMs == 0 {
		t.Errorf("the timers are %+v, %v", list, err)
	}
}

// TestTheExampleOfPortsRuns when what is in its way has gone; the ports are other ones.
func TestTheExampleOfPortsRuns(t *testing.T) {
	t.Parallel()
	list := examples(t, "toml")
	at := slices.IndexFunc(list, func(text string) bool { return strings.Contains(text, "ports = [80, 443]") })
	if at < 0 {
		t.Fatal("there is no such example")
	}
	in := newInstance(t, nil)
	in.env = append(in.env, "PATH="+in.path("bin")+":"+os.Getenv("PATH"))
	script(t, in.path("bin/nginx"), "echo \"$@\"; exec "+quiet)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	in.write("web", strings.Replace(list[at], "[80, 443]", fmt.Sprintf("[%d, %d]", freePorts(t, 1)[0], port), 1))
	in.launch()
	in.says("web", fmt.Sprintf("port %d is in use by", port))
	l.Close()
	in.waitState("web", "running")
	in.until("how it was called", func() (string, bool) {
		out := in.must("logs", "web")
		return out, strings.Contains(out, "-g daemon off;")
	})
}

// TestTheExampleOfAFileOfVariablesIsRead.
func TestTheExampleOfAFileOfVariablesIsRead(t *testing.T) {
	t.Parallel()
	list := examples(t, "env")
	if len(list) != 1 {
		t.Fatalf("there are %d examples", len(list))
	}
	in := newInstance(t, nil)
	if err := os.WriteFile(in.path("vars"), []byte(list[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	in.write("show", file("show", "env", "oneshot = true", fmt.Sprintf("env_file = %q", in.path("vars"))))
	in.launch()
	in.waitState("show", "exited")
	log := in.must("logs", "show")
	for _, want := range []string{"LANG=C.UTF-8\n", `OPTIONS=--port 8080 --name "my web"` + "\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("there is no %q in %q", want, log)
		}
	}
}

// TestWhomAStopReaches: each kind of kill_mode, with a process in the group of the
// service and one that has left its session.
func TestWhomAStopReaches(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	script(t, in.path("member"), `trap "echo $1 >>$2.told; exit 0" TERM; echo $$ >>$2.up; while :; do sleep 0.05; done`)
	script(t, in.path("family"), fmt.Sprintf("%[1]s group $1 & setsid %[1]s apart $1 & exec %[1]s main $1", in.path("member")))
	cases := map[string]struct {
		told string
		left int // processes, after the stop
	}{
		"group":   {"group main", 0},
		"mixed":   {"main", 0},
		"process": {"main", 2},
		"cgroup":  {"apart group main", 0},
	}
	for mode := range cases {
		in.write(mode, file(mode, in.path("family")+" "+in.path(mode), lifecycle, fmt.Sprintf("kill_mode = %q", mode), "stop_timeout_ms = 1000"))
	}
	in.launch()
	in.waitState("group mixed process cgroup", "running")
	if dir := cgroupOf(t, in.pid("group")); filepath.Base(dir) != "group.svc" {
		t.Skipf("services have no cgroups here: %q", dir)
	}
	for mode, c := range cases {
		var members []process
		in.until("all three of "+mode, func() (string, bool) {
			text, err := os.ReadFile(in.path(mode + ".up"))
			members = nil
			for word := range strings.FieldsSeq(string(text)) {
				pid, _ := strconv.Atoi(word) // 0 is no process
				if p, ok := processOf(pid); ok {
					members = append(members, p)
				}
			}
			return fmt.Sprint(string(text), err), len(members) == 3
		})
		in.must("stop", mode)
		in.waitState(mode, "exited")
		text, err := os.ReadFile(in.path(mode + ".told"))
		told := strings.Fields(string(text))
		if got := strings.Join(slices.Sorted(slices.Values(told)), " "); got != c.told {
			t.Errorf("%s: told were %q, not %q: %v", mode, got, c.told, err)
		}
		if left := alive(members); len(left) != c.left {
			t.Errorf("%s: left are %v", mode, left)
		}
		if full, err := in.dial().StatusFull(shortly(t), mode); err != nil || len(full.Left) < c.left || c.left == 0 && full.Left != nil {
			t.Errorf("%s: its status says that left are %+v, %v", mode, full.Left, err)
		}
	}
}

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

// A keyCase is how the example of a key is run; what is empty is as for most.
type keyCase struct {
	exec    string
	beside  string   // lines that it needs before it, in its own table or above
	replace []string // old and new
	state   string   // that it comes to; "running"
	root    bool     // nobody else may
	may     string   // it may fail with this in its reason, on machines that are like that
}

// documentedKeys are the rows of the tables of docs/services.md, by table and key.
func documentedKeys(t *testing.T) (rows [][3]string) {
	t.Helper()
	text, err := os.ReadFile("docs/services.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("^\\| `([a-z_]+)` \\| [^|]+ \\| [^|]+ \\| `([^|]+)` \\|")
	table := ""
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "## ["); ok {
			table = strings.TrimSuffix(name, "]")
		}
		if m := row.FindStringSubmatch(line); m != nil {
			rows = append(rows, [3]string{table, m[1], m[2]})
		}
	}
	if len(rows) < 90 {
		t.Fatalf("only %d keys are found", len(rows))
	}
	return rows
}

// keyCases are the keys that need something to run.
func keyCases(t *testing.T, in *instance) map[string]keyCase {
	port := strconv.Itoa(freePorts(t, 1)[0])
	other, third := strconv.Itoa(freePorts(t, 1)[0]), strconv.Itoa(freePorts(t, 1)[0])
	master, tty := terminal(t)
	t.Cleanup(func() { master.Close() }) // nobody closes it before
	notify := acts(t, "tell", "READY=1", "serve")
	hard := keyCase{may: "the hard limit is"}
	cases := map[string]keyCase{
		"service.oneshot":              {exec: "true", state: "exited"},
		"service.status":               {state: "inactive"},
		"service.ports":                {replace: []string{"80, 443", port}},
		"service.kill_others":          {beside: "ports = [" + other + "]"},
		"service.process_filters":      {replace: []string{"nginx", "no-such-name"}},
		"service.type":                 {exec: notify},
		"service.notify_access":        {exec: notify, beside: `type = "notify"`},
		"service.watchdog":             {exec: notify, beside: `type = "notify"`},
		"service.notify_fd":            {exec: "sh -c 'echo >&3; exec sleep 100000'"},
		"service.pid_file":             {exec: "sh -c 'sleep 100000 & echo $! >" + in.path("run/nginx.pid") + "'", beside: `type = "forking"`},
		"service.remain_after_exit":    {exec: "true", beside: "oneshot = true"},
		"service.user":                 {root: true},
		"service.group":                {root: true},
		"service.supplementary_groups": {root: true},
		"service.capabilities":         {root: true, may: "CAP_"},
		"service.oom_score_adj":        {root: true, may: "lowering it needs CAP_SYS_RESOURCE"},
		"service.tty":                  {replace: []string{"/dev/tty1", tty}},
		"service.requires_limits":      {beside: "[limits]\ntasks_max = 5\n[service]", may: "a limit cannot be put in force"},
		"lifecycle.restart":            {},
		"socket.listen":                {replace: []string{`127.0.0.1:8081", "unix:`, "127.0.0.1:" + third + `", "unix:` + in.dir}},
		"socket.user":                  {root: true},
		"socket.group":                 {root: true},
		"rlimits.nofile":               hard, "rlimits.nice": hard, "rlimits.rtprio": hard, "rlimits.memlock": hard,
		"rlimits.core": hard, "rlimits.msgqueue": hard, "rlimits.sigpending": hard, "rlimits.stack": hard, "rlimits.nproc": hard,
	}
	if _, err := user.LookupGroup("ssl-cert"); err != nil {
		c := cases["service.supplementary_groups"]
		c.replace = []string{"ssl-cert", "daemon"}
		cases["service.supplementary_groups"] = c
	}
	return cases
}

// keyFile is a service that has the example of a key, in a table with what that needs.
func keyFile(in *instance, table, key, example, address string, c keyCase) string {
	exec := c.exec
	if exec == "" {
		exec = `sh -c 'echo hello; exec sleep 100000'`
	}
	service := []string{fmt.Sprintf("name = %q", table+"."+key), fmt.Sprintf("exec = %q", exec)}
	head := map[string][]string{
		"health": {`type = "http"`, `target = "http://` + address + `/204"`},
		"timer":  {`on_calendar = "@daily"`},
		"socket": {fmt.Sprintf("listen = %q", "unix:"+in.path("run/"+key))},
	}[table]
	if key != "expect_status" {
		for i := range head {
			head[i] = strings.ReplaceAll(head[i], "/204", "/200")
		}
	}
	if strings.HasPrefix(key, "file_") || key == "compress" {
		head = append(head, fmt.Sprintf("file = %q", in.path("var/log/"+key)), `file_age = "2d"`)
	}
	without := func(lines []string) []string {
		return slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, key+" = ") })
	}
	var sections []string
	switch table {
	case "service":
		before, after, split := strings.Cut(c.beside, "[service]")
		if !split {
			before, after = "", c.beside
		}
		sections = append(without(service), after, example, before)
		sections = slices.Insert(sections, 0, "[service]")
	case "target":
		sections = []string{"[target]", fmt.Sprintf("name = %q", "target."+key), example}
		if key == "name" {
			sections = []string{"[target]", example}
		}
	default:
		sections = append([]string{"[service]"}, service...)
		sections = append(append(append(sections, "["+table+"]"), without(head)...), example)
	}
	text := strings.Join(sections, "\n") + "\n"
	paths := regexp.MustCompile(`"(-?)(/(?:usr|srv|var|etc|run)/)`)
	text = paths.ReplaceAllString(text, `"${1}`+in.dir+`${2}`)
	text = strings.ReplaceAll(text, "127.0.0.1:8080", address)
	if c.replace != nil {
		text = strings.ReplaceAll(text, c.replace[0], c.replace[1])
	}
	return text
}

// answers is a server whose paths say with what they are answered.
func answers(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code, err := strconv.Atoi(strings.Trim(r.URL.Path, "/")); err == nil {
			w.WriteHeader(code)
		}
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// TestTheExampleOfEachDocumentedKeyRuns in a service of its own, all of them in one
// server, and has the effect that can be seen from outside. Paths are below a directory
// of their own, and ports and names of processes such that nobody is in the way.
func TestTheExampleOfEachDocumentedKeyRuns(t *testing.T) {
	t.Parallel()
	in := newInstance(t, nil)
	for _, name := range []string{"usr/bin/web", "usr/bin/announce", "usr/bin/clean-up"} {
		script(t, in.path(name), `case "$1" in --port) exec sleep 100000;; esac; echo "${0##*/} $*" >>`+in.path("calls"))
	}
	for _, dir := range []string{"srv/web", "var/log", "run", "etc/default"} {
		if err := os.MkdirAll(in.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in.path("etc/default/web"), []byte("FROM_FILE=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in.path("run/web.fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "log", "metrics", "net"} {
		in.write(name, file(name, quiet))
	}
	in.write("old-web", file("old-web", quiet, stopped))
	address, cases := answers(t), keyCases(t, in)
	states, may := map[string][]string{}, map[string]string{}
	for _, row := range documentedKeys(t) {
		name := row[0] + "." + row[1]
		c := cases[name]
		if c.root && os.Geteuid() != 0 {
			continue
		}
		text := keyFile(in, row[0], row[1], row[2], address, c)
		if row[1] == "name" && row[0] != "socket" {
			name = regexp.MustCompile(`name = "(.*)"`).FindStringSubmatch(row[2])[1]
		}
		in.write(name+".toml", text)
		switch state := c.state; {
		case c.may != "":
			may[name] = c.may
		case row[0] == "timer":
			states["inactive"] = append(states["inactive"], name)
		case state == "":
			states["running"] = append(states["running"], name)
		default:
			states[state] = append(states[state], name)
		}
	}
	if out, code := in.zinit("check", in.path("services")); code != 0 {
		t.Fatal(out)
	}
	in.launch()
	for state, names := range states {
		in.waitState(strings.Join(names, " "), state)
	}
	for name, reason := range may {
		in.until(name+" is up, or cannot be", func() (string, bool) {
			s := in.status(name)
			return fmt.Sprintf("%+v", s), s.State.State == "running" || strings.Contains(s.Reason, reason)
		})
	}
	list, err := in.dial().Timers(shortly(t))
	if err != nil || len(list) != len(states["inactive"])-1 { // but for status
		t.Errorf("the timers are %+v, %v", list, err)
	}
	keyEffects(t, in)
	keyHooks(t, in)
}

// keyEffects looks for what the examples have done to their processes.
func keyEffects(t *testing.T, in *instance) {
	for _, c := range []struct{ service, file, name, want string }{
		{"service.env", "environ", "LANG=", "C"},
		{"service.env_file", "environ", "FROM_FILE=", "yes"},
		{"service.inherit_env", "environ", "ZINIT_SOCKET=", ""},
		{"service.umask", "status", "Umask:", "0027"},
		{"service.no_new_privs", "status", "NoNewPrivs:", "1"},
		{"rlimits.fsize", "limits", "Max file size", "104857600 104857600 bytes"},
		{"rlimits.cpu", "limits", "Max cpu time", "3600 3600 seconds"},
	} {
		if got := factsOf(t, in.pid(c.service))(c.file, c.name); got != c.want {
			t.Errorf("%s: %s is %q, not %q", c.service, c.name, got, c.want)
		}
	}
	if fields := strings.Fields(factsOf(t, in.pid("service.nice"))("stat", "")); len(fields) < 19 || fields[18] != "10" {
		t.Errorf("nice: %v", fields)
	}
	if os.Geteuid() == 0 {
		if pid := in.status("service.oom_score_adj").State.PID; pid != 0 {
			if got := factsOf(t, pid)("oom_score_adj", ""); got != "-500" {
				t.Errorf("oom_score_adj is %q", got)
			}
		}
		if pid := in.status("service.capabilities").State.PID; pid != 0 {
			if got := factsOf(t, pid)("status", "CapEff:"); got != "0000000000000400" {
				t.Errorf("capabilities are %q", got)
			}
		}
		if got := factsOf(t, in.pid("service.user"))("status", "Uid:"); strings.HasPrefix(got, "0 ") {
			t.Errorf("its user is %q", got)
		}
	}
	if dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(in.pid("service.dir")), "cwd")); dir != in.path("srv/web") {
		t.Errorf("it is in %s: %v", dir, err)
	}
	in.until("the log file", func() (string, bool) {
		text, err := os.ReadFile(in.path("var/log/web.log"))
		return fmt.Sprint(string(text), err), strings.Contains(string(text), "hello\n")
	})
	if out := in.must("status", "service.description"); !strings.Contains(out, "the web server") {
		t.Errorf("its status is\n%s", out)
	}
}

// keyHooks has the commands run that the examples name.
func keyHooks(t *testing.T, in *instance) {
	if err := in.dial().SignalReload(shortly(t), "service.exec_reload"); err != nil {
		t.Error(err)
	}
	in.must("stop", "--wait", "service.exec_stop", "service.exec_stop_post")
	for _, call := range []string{"web --check", "announce web", "web --reload", "web --quit", "clean-up "} {
		in.until("a call of "+call, func() (string, bool) {
			text, err := os.ReadFile(in.path("calls"))
			return fmt.Sprint(string(text), err), strings.Contains(string(text), call+"\n")
		})
	}
}

package main_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zinit/sock"
)

// The tests of the faults in docs/faults.md by the real binary. Their names begin
// with TestFault and the number; each file has those of one subject.

// file is the text of a service file; rest is further lines, which begin in the
// table [service].
func file(name, exec string, rest ...string) string {
	return fmt.Sprintf("[service]\nname = %q\nexec = %q\n%s\n", name, exec, strings.Join(rest, "\n"))
}

// The lines that several tests put below a service.
const (
	stopped   = `status = "stop"`
	lifecycle = "[lifecycle]"
	noRestart = "[lifecycle]\nrestart = \"never\""
)

// quiet is a service that does nothing until it is stopped.
const quiet = "sleep 100000"

// deaf is one that only SIGKILL ends.
const deaf = `sh -c "trap '' TERM; exec sleep 100000"`

// dial connects to the server for as long as the test takes.
func (in *instance) dial() *sock.Client {
	in.t.Helper()
	c, err := sock.Dial(in.t.Context(), in.socket)
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { c.Close() })
	return c
}

// shortly is a context for one call that must not hang.
func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// untouched fails the test unless these services still have the processes that
// they had when it was called; use it with defer or keep what it returns.
func (in *instance) untouched(services ...string) (check func()) {
	in.t.Helper()
	pids := map[string]int{}
	for _, s := range services {
		pids[s] = in.pid(s)
	}
	return func() {
		in.t.Helper()
		for s, pid := range pids {
			if now := in.status(s); now.State.PID != pid || now.State.State != "running" {
				in.t.Errorf("%s was running as %d, it is %s as %d", s, pid, now.State.State, now.State.PID)
			}
		}
	}
}

// gone waits until a process has ended and been reaped.
func (in *instance) gone(pid int) {
	in.t.Helper()
	was, ok := processOf(pid)
	if !ok {
		return
	}
	in.until("the end of "+was.String(), func() (string, bool) {
		p, ok := processOf(pid)
		return p.String(), !ok || p.start != was.start
	})
}

// limitFiles sets the limit of open files of a running process; restore puts the
// old one back.
func limitFiles(t *testing.T, pid int, n uint64) (restore func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &old); err != nil {
		t.Fatal(err)
	}
	set := func(cur uint64) {
		t.Helper()
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: cur, Max: old.Max}, nil); err != nil {
			t.Fatal(err)
		}
	}
	set(n)
	return func() { set(old.Cur) }
}

// descriptors is how many files a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	names, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// cpuTime is how long a process has been running on processors; its grain is a
// tick of 10 ms.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] { // user and system time
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// resident is the memory of a process in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// proven are the faults that have a test of their own already: by the real binary, but
// 43, which needs a clock that can be set, and 50 to 53, whose proxies are real anyway.
var proven = []int{
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
	41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 58, 59, 60, 61, 62, 63, 64, 65,
}

// Every test that docs/faults.md names exists where it says, every fault of the
// table is there once, and what is proven is not said to come later.
func TestTheTableOfFaultsNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]bool{}
	for _, m := range regexp.MustCompile(`\[(\w+)\]\(\.\./([^)]+)\)`).FindAllStringSubmatch(string(text), -1) {
		name, path := m[1], filepath.FromSlash(m[2])
		if seen[path] == nil {
			seen[path] = testsIn(t, path)
		}
		if !seen[path][name] {
			t.Errorf("there is no %s in %s", name, path)
		}
	}
	if len(seen) == 0 {
		t.Error("no test is named at all")
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]*) \|$`).FindAllStringSubmatch(string(text), -1)
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Fatalf("row %d is of fault %s", i+1, row[1])
		}
		own := regexp.MustCompile(fmt.Sprintf(`\[TestFault%d\D`, i+1))
		if slices.Contains(proven, i+1) && (strings.Contains(row[2], "comes later") || !own.MatchString(row[2])) {
			t.Errorf("fault %s has no test of its own: %s", row[1], row[2])
		}
	}
	if len(rows) != 65 {
		t.Errorf("the table has %d rows, want 65", len(rows))
	}
}

// testsIn is the names of the test functions of a file.
func testsIn(t *testing.T, path string) map[string]bool {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	names := map[string]bool{}
	for _, d := range tree.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
			names[fn.Name.Name] = true
		}
	}
	return names
}

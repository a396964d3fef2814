package main_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"zinit/sock"
)

// requires is the table of dependencies with this one requirement.
func requires(name string) string { return fmt.Sprintf("[dependencies]\nrequires = [%q]", name) }

// Fault 30: one file is wrong.
func TestFault30OneInvalidFileIsShownAndTheRestBoots(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{
		"a":       file("a", quiet),
		"b":       file("b", quiet, requires("a")),
		"broken":  "[service]\nname = \"broken\"\nexec = \n",
		"garbage": "\x00\x01\x02\xff",
		"empty":   "",
		"wrong":   file("wrong", quiet, `status = "maybe"`),
		"on-it":   file("on-it", quiet, requires("wrong")),
	})
	if err := os.Mkdir(filepath.Join(in.config, "directory.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nowhere", filepath.Join(in.config, "dangling.toml")); err != nil {
		t.Fatal(err)
	}
	in.launch()
	in.waitState("a b", "running")
	list := in.must("list")
	for _, name := range []string{"broken", "wrong"} {
		if s := in.status(name); s.State.State != sock.Failed || !strings.Contains(s.Reason, name+".toml:") {
			t.Errorf("%s is %s: %s", name, s.State.State, s.Reason)
		}
		if out, code := in.zinit("start", name); code != 1 || !strings.Contains(out, name+".toml:") {
			t.Errorf("start %s: code %d: %s", name, code, out)
		}
		if !strings.Contains(list, name) {
			t.Errorf("%s is not in the list:\n%s", name, list)
		}
	}
	for _, name := range []string{"garbage", "empty", "directory", "dangling"} {
		if !strings.Contains(list, name) || !in.tells("error", name+".toml") {
			t.Errorf("%s is not shown:\n%s", name, list)
		}
	}
	if why := in.must("why", "on-it"); !strings.Contains(why, "wrong") || !strings.Contains(why, "configuration") {
		t.Errorf("why on-it: %s", why)
	}
}

// Fault 32: a cycle among the files at boot.
func TestFault32ACycleAtBootFailsItsMembersOnly(t *testing.T) {
	t.Parallel()
	in := startServer(t, map[string]string{
		"a":     file("a", quiet, requires("b")),
		"b":     file("b", quiet, requires("c")),
		"c":     file("c", quiet, requires("a")),
		"self":  file("self", quiet, requires("self")),
		"alone": file("alone", quiet),
		"under": file("under", quiet, "[dependencies]\nrequires = [\"alone\"]\nafter = [\"a\"]"),
		"on-it": file("on-it", quiet, requires("a")),
	})
	in.waitState("alone under", "running")
	for name, path := range map[string]string{"a": "a -> b -> c -> a", "b": "a -> b -> c -> a", "c": "a -> b -> c -> a", "self": "cannot require itself"} {
		if s := in.status(name); s.State.State != sock.Failed {
			t.Errorf("%s is %s", name, s.State.State)
		}
		if why := in.must("why", name); !strings.Contains(why, path) {
			t.Errorf("why %s: %s", name, why)
		}
		if out, code := in.zinit("start", name); code != 1 || !strings.Contains(out, path) {
			t.Errorf("start %s: code %d: %s", name, code, out)
		}
	}
	if why := in.must("why", "on-it"); !strings.Contains(why, "waiting on a") {
		t.Errorf("why on-it: %s", why)
	}
}

// Fault 35: names that lead somewhere else.
func TestFault35NamesThatAreNoneTouchNoFile(t *testing.T) {
	t.Parallel()
	names := []string{"..", "../../up", "a/b", "/etc/passwd", ".hidden", "nul\x00byte", "new\nline", "", "tab\tbed",
		strings.Repeat("n", 4096), strings.Repeat("m", 129), "s\u00e4ge", "a b"}
	in := newInstance(t, map[string]string{"good": file("good", quiet)})
	for i, name := range names {
		// As JSON strings are, those of TOML are escaped like this.
		quoted := strconv.QuoteToASCII(strings.ReplaceAll(name, "\x00", "\u0001"))
		quoted = strings.ReplaceAll(quoted, `\x01`, `\u0000`)
		in.write(fmt.Sprintf("bad%d", i), "[service]\nname = "+quoted+"\nexec = \"touch "+in.dir+"/ran\"\n")
	}
	in.launch()
	in.waitState("good", "running")
	// The compiled configuration is written when the files are old enough to be trusted.
	files := func() []string {
		return slices.DeleteFunc(tree(t, in.dir), func(path string) bool { return path == filepath.Join(in.dir, "zinit", "config") })
	}
	before := files()
	c := in.dial()
	for i, name := range names {
		if !in.tells("error", fmt.Sprintf("bad%d.toml", i)) {
			t.Errorf("%.20q is not refused", name)
		}
		calls := map[string]error{
			"start": c.Start(shortly(t), name, sock.StartOptions{}),
			"stop":  c.Stop(shortly(t), name),
			"kill":  c.Kill(shortly(t), name, "TERM"),
		}
		_, calls["status"] = c.Status(shortly(t), name)
		if name != "" { // without a name there are no lines
			_, calls["logs"] = c.Logs(shortly(t), name, 10)
		}
		for what, err := range calls {
			if err == nil {
				t.Errorf("%s of %.20q was not refused", what, name)
			}
		}
	}
	if after := files(); !slices.Equal(before, after) {
		t.Errorf("the files were\n%q\nand are\n%q", before, after)
	}
}

// tree is the paths of everything in a directory.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// Fault 45: very many services. What the server computes for ten times as many may
// take ten times as long, and as much again and again for caches that are too
// small; squared it would be a hundred.
// A machine with too much to do adds to that by the caches it shares: once of three
// times has to do.
func TestFault45BootListAndReloadOfTenThousandScaleLinearly(t *testing.T) {
	for range 3 {
		few, many := lifeOf(t, 1000), lifeOf(t, 10_000)
		linear := true
		for what, long := range many {
			ratio := float64(long) / float64(few[what])
			t.Logf("%s: %v for 1,000, %v for 10,000: ratio %.1f", what, few[what], long, ratio)
			linear = linear && ratio <= 35
		}
		if linear || t.Failed() {
			return
		}
	}
	t.Error("three times something took more than 35 times as long for ten times as many")
}

// Who asks before the server knows its services waits for the answer.
func TestAnEarlyRequestIsAnsweredInFull(t *testing.T) {
	t.Parallel()
	const n = 2000
	in := newInstance(t, nil)
	for i := range n {
		in.write("s"+strconv.Itoa(i), file("s"+strconv.Itoa(i), quiet, stopped))
	}
	in.spawn()
	var c *sock.Client
	in.until("a socket", func() (last string, ok bool) {
		var err error
		c, err = sock.Dial(t.Context(), in.socket)
		return fmt.Sprint(err), err == nil
	})
	defer c.Close()
	if names, err := c.List(shortly(t)); err != nil || len(names) != n {
		t.Errorf("the list has %d names, %v", len(names), err)
	}
}

// lifeOf measures what costs the server how much time of the processors with n
// services: that does not depend on what else the machine does. The list is that
// of the clock, of a client and the server together.
func lifeOf(t *testing.T, n int) map[string]time.Duration {
	t.Helper()
	in := newInstance(t, nil)
	text := func(i int) string {
		rest := []string{stopped}
		if i > 0 { // in layers, each ten times as wide as the one before
			rest = append(rest, requires("s"+strconv.Itoa(i/10)))
		}
		return file("s"+strconv.Itoa(i), quiet, rest...)
	}
	for i := range n {
		in.write("s"+strconv.Itoa(i), text(i))
	}
	in.write("up", file("up", quiet))
	in.launch()
	in.waitState("up", "running")
	server, check := in.serverPID(), in.untouched("up")
	cost := map[string]time.Duration{"boot": cpuTime(t, server)}

	began := time.Now()
	for range 3 {
		if lines := strings.Count(in.must("list"), "\n"); lines < n+1 {
			t.Errorf("the list has %d lines", lines)
		}
	}
	cost["list"] = time.Since(began) / 3

	// One reload of few costs hardly more than the grain of the clock.
	reloads := 10_000 / n
	before := cpuTime(t, server)
	for i := range reloads {
		in.write("s1", strings.ReplaceAll(text(1), "100000", strconv.Itoa(200000+i)))
		in.write("new"+strconv.Itoa(i), file("new"+strconv.Itoa(i), quiet, stopped))
		if err := syscall.Kill(in.keeperPID(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		in.until("the end of the reload", func() (string, bool) {
			done := strings.Count(in.log.String(), "reloaded added=1 removed=0 changed=1")
			return fmt.Sprint(done), done == i+1
		})
	}
	cost["reload"] = (cpuTime(t, server) - before) / time.Duration(reloads)
	check()
	in.shutdown()
	return cost
}

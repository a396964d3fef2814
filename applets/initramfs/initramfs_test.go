package initramfs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"zinit/applets/env"
)

// list reads an archive as the kernel does and tells a line for each entry: mode,
// name, and what it holds.
func list(t *testing.T, image []byte) (lines []string) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	take := func(n int) []byte {
		if at+n > len(text) {
			t.Fatalf("the archive ends at %d, in the middle of an entry", len(text))
		}
		at += n
		return text[at-n : at]
	}
	align := func() { at += (4 - at%4) % 4 }
	for {
		head := take(110)
		if string(head[:6]) != "070701" {
			t.Fatalf("at %d: no header: %q", at-110, head[:6])
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(head[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		mode, size, major, minor := field(1), field(6), field(9), field(10)
		name := strings.TrimSuffix(string(take(field(11))), "\x00")
		align()
		body := string(take(size))
		align()
		if name == trailer {
			if at != len(text) {
				t.Errorf("%d bytes behind the trailer", len(text)-at)
			}
			return lines
		}
		line := fmt.Sprintf("%o %s", mode, name)
		switch {
		case mode&modeLink == modeLink:
			line += " -> " + body
		case mode&modeChar == modeChar && mode&modeDir != modeDir:
			line += fmt.Sprintf(" %d,%d", major, minor)
		case size > 0:
			line += " = " + body
		}
		lines = append(lines, line)
	}
}

func put(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	e := &env.Env{Args: append([]string{"zinit-initramfs"}, args...), Stdout: &out, Stderr: &errs}
	code = Main(e, []string{"zinit", "zinit-pid1", "init"})
	return code, out.String(), errs.String()
}

func TestAnImageHoldsWhatTheFirstProcessNeeds(t *testing.T) {
	dir := t.TempDir()
	binary := put(t, dir+"/zinit", "ELF", 0o700)
	put(t, dir+"/services/web.toml", "[service]\n", 0o600)
	put(t, dir+"/prog/bin/tool", "tool", 0o755|os.ModeSetuid)
	if err := os.Symlink("tool", dir+"/prog/bin/alias"); err != nil {
		t.Fatal(err)
	}
	put(t, dir+"/hosts", "127.0.0.1 x", 0o644)
	args := []string{
		"-o", dir + "/image", "--binary", binary, "--services=" + dir + "/services",
		"--add", dir + "/prog:/opt/prog", "--add=" + dir + "/hosts:../etc/hosts",
	}
	if code, _, errs := run(args...); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	image, err := os.ReadFile(dir + "/image")
	if err != nil {
		t.Fatal(err)
	}
	want := `40755 bin
120777 bin/init -> zinit
100755 bin/zinit = ELF
120777 bin/zinit-pid1 -> zinit
40755 dev
20600 dev/console 5,1
20666 dev/null 1,3
40755 etc
100644 etc/hosts = 127.0.0.1 x
40755 etc/zinit
40755 etc/zinit/services
100600 etc/zinit/services/web.toml = [service]

120777 init -> bin/zinit
40755 opt
40755 opt/prog
40755 opt/prog/bin
120777 opt/prog/bin/alias -> tool
104755 opt/prog/bin/tool = tool
40755 proc
40755 root
40755 run
40755 sbin
120777 sbin/init -> ../bin/zinit
120777 sbin/zinit -> ../bin/zinit
120777 sbin/zinit-pid1 -> ../bin/zinit
40755 sys
41777 tmp
40755 var
40755 var/lib
40755 var/lib/zinit`
	if got := strings.Join(list(t, image), "\n"); got != want {
		t.Errorf("it holds\n%s\nwant\n%s", got, want)
	}
	if code, _, errs := run(args...); code != 0 {
		t.Fatalf("again: exit code %d: %s", code, errs)
	}
	if again, err := os.ReadFile(dir + "/image"); err != nil || !bytes.Equal(again, image) {
		t.Errorf("the same input gave other bytes (%v)", err)
	}
}

// The root of a distribution has links where directories are here, and an init of its own.
func TestAnImageMayBeOfARootThatHasLinks(t *testing.T) {
	dir := t.TempDir()
	binary := put(t, dir+"/zinit", "ELF", 0o755)
	put(t, dir+"/root/usr/bin/tool", "tool", 0o755)
	put(t, dir+"/root/usr/sbin/init", "another", 0o755)
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "/usr/sbin", "loop": "loop"} {
		if err := os.Symlink(target, dir+"/root/"+name); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := run("-o", dir+"/image", "--binary", binary, "--add", dir+"/root:/", binary+":/bin/more", binary+":/loop/x"); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	image, err := os.ReadFile(dir + "/image")
	if err != nil {
		t.Fatal(err)
	}
	got := "\n" + strings.Join(list(t, image), "\n") + "\n"
	for _, want := range []string{"120777 bin -> usr/bin", "120777 sbin -> /usr/sbin", "100755 usr/bin/zinit = ELF", "100755 usr/bin/more = ELF",
		"120777 usr/bin/init -> zinit", "120777 usr/sbin/zinit -> ../bin/zinit", "100755 usr/sbin/init = another", "120777 init -> bin/zinit"} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("there is no %q in %s", want, got)
		}
	}
	for _, bad := range []string{"755 bin/", "777 bin/", "755 sbin/", "777 sbin/", "40755 \n"} {
		if strings.Contains(got, bad) {
			t.Errorf("there is a %q in %s", bad, got)
		}
	}
}

func TestARefusalLeavesTheOldImage(t *testing.T) {
	dir := t.TempDir()
	binary := put(t, dir+"/zinit", "ELF", 0o755)
	image := put(t, dir+"/image", "old", 0o644)
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{nil, env.ExitUsage, "no file was named: use -o FILE"},
		{[]string{"-o"}, env.ExitUsage, "-o needs a value"},
		{[]string{"-o", image, "--frob", "x"}, env.ExitUsage, `unexpected argument "--frob"`},
		{[]string{"-o", image, "x"}, env.ExitUsage, `unexpected argument "x"`},
		{[]string{"-o", image, "--binary", binary, "--add", binary, dir + "/none"}, env.ExitFailed, "cannot add " + dir + "/none"},
		{[]string{"-o", image, "--binary", dir + "/none"}, env.ExitFailed, "cannot find the binary"},
		{[]string{"-o", image, "--binary", binary, "--add", dir + "/none"}, env.ExitFailed, "cannot add " + dir + "/none"},
		{[]string{"-o", image, "--binary", binary, "--add", "/dev/null:/x"}, env.ExitFailed, "neither file, directory nor link"},
		{[]string{"-o", dir + "/none/image", "--binary", binary}, env.ExitFailed, "cannot write " + dir + "/none/image"},
	} {
		code, _, errs := run(c.args...)
		if code != c.code || !strings.Contains(errs, c.text) {
			t.Errorf("%q: exit code %d, %q; want %d, %q", c.args, code, errs, c.code, c.text)
		}
	}
	if text, err := os.ReadFile(image); err != nil || string(text) != "old" {
		t.Errorf("the old image is now %q (%v)", text, err)
	}
	if left, _ := filepath.Glob(dir + "/.initramfs-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileThatShrinksIsNoticed(t *testing.T) {
	w := newWriter(io.Discard)
	w.entry("x", header{mode: modeFile, size: 10})
	w.body(strings.NewReader("short"), 10)
	if err := w.finish(); err == nil {
		t.Error("no error")
	}
}

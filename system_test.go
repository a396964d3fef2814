//go:build system

package main_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A dialogue is the console of a machine: what it says, and what is typed.
type dialogue struct {
	t     *testing.T
	in    io.Writer
	mu    sync.Mutex
	text  bytes.Buffer  // guarded by mu
	news  chan struct{} // capacity 1
	ended chan struct{}
	seen  int
}

func (d *dialogue) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case d.news <- struct{}{}:
	default:
	}
	return d.text.Write(p)
}

func (d *dialogue) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.ReplaceAll(d.text.String(), "\r", "")
}

// await waits for words after those that were waited for last, and returns what came
// in between.
func (d *dialogue) await(words string) string {
	d.t.Helper()
	late := time.After(machineTime)
	for {
		text := d.said()[d.seen:]
		if at := strings.Index(text, words); at >= 0 {
			d.seen += at + len(words)
			return text[:at]
		}
		if strings.Contains(text, "FAIL ") {
			d.t.Fatalf("waited for %q:\n%s", words, d.said())
		}
		select {
		case <-d.news:
		case <-d.ended:
			if !strings.Contains(d.said()[d.seen:], words) {
				d.t.Fatalf("it ended without %q:\n%s", words, d.said())
			}
		case <-late:
			d.t.Fatalf("waited for %q:\n%s", words, d.said())
		}
	}
}

func (d *dialogue) typeLine(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, line+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

// A Debian system that was made by debootstrap and knows no other init: up to a login
// on its console, and down again with nothing left to mend. ./build.sh system makes the
// disk.
func TestSystemOfDebian(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	master := filepath.Join(cache, "zinit-test", "debian.ext4")
	disk := filepath.Join(t.TempDir(), "disk")
	if out, err := exec.Command("cp", "--sparse=always", master, disk).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s: ./build.sh system makes it", err, out)
	}
	m := vm{files: map[string]string{"disk": file("disk", "vm disk", "oneshot = true")}, append: "zinit.log=warn hostname=box"}
	m.add = []string{"testdata/system:/system"}
	found, err := filepath.Glob(filepath.Join(cache, "zinit-test", "kernel", "lib", "modules", "*", "kernel", "drivers", "*", "virtio*.ko"))
	if err != nil || len(found) == 0 {
		t.Fatalf("the kernel has no modules (%v)", err)
	}
	for _, module := range found {
		m.add = append(m.add, module+":/modules/"+filepath.Base(module))
	}
	m.args = []string{"-drive", "file=" + disk + ",format=raw,if=virtio"}
	qemu := m.command(t)
	in, err := qemu.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	d := &dialogue{t: t, in: in, news: make(chan struct{}, 1), ended: make(chan struct{})}
	qemu.Stdout, qemu.Stderr = d, d
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	go func() {
		qemu.Wait() // what it said tells more
		close(d.ended)
	}()
	defer func() {
		qemu.Process.Kill()
		<-d.ended
	}()
	d.await("box login:")
	t.Logf("a login after %.1f s", time.Since(began).Seconds())
	d.typeLine("root")
	d.await("root@box:~#")
	d.typeLine("tty; zinit list; findmnt -n -o OPTIONS /; findmnt -n -o TARGET,SIZE /srv; zinit check; echo IT IS $?")
	text := d.await("IT IS 0")
	for _, want := range []string{"/dev/ttyS0", "getty", "sysinit", "rw,relatime", "exit code 64", "/srv     4M", "0 errors"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Failed") {
		t.Errorf("not all of it is well:\n%s", text)
	}
	// Another file in its place, as a package manager puts it there: that of process 1 has
	// no name any more then.
	d.typeLine("touch /kept; cp -L /sbin/zinit /sbin/new; mv /sbin/new $(readlink -f /sbin/zinit); poweroff")
	began = time.Now()
	d.await("reboot: Power down")
	t.Logf("powered off %.1f s later", time.Since(began).Seconds())
	<-d.ended
	// The file that process 1 ran had no name any more; the next mount would give it back.
	if out, err := exec.Command("e2fsck", "-p", disk).CombinedOutput(); err != nil {
		t.Errorf("the disk cannot be mended: %v\n%s", err, out)
	}
	if out, err := exec.Command("e2fsck", "-fn", disk).CombinedOutput(); err != nil {
		t.Errorf("the disk is not whole: %v\n%s", err, out)
	}
	if out, err := exec.Command("dumpe2fs", "-h", disk).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("clean\n")) || bytes.Contains(out, []byte("needs_recovery")) {
		t.Errorf("it was not unmounted: %v\n%s", err, out)
	}
	for _, path := range []string{"/kept", "/var/lib/zinit/random-seed"} {
		if out, err := exec.Command("debugfs", "-R", "stat "+path, disk).CombinedOutput(); err != nil || bytes.Contains(out, []byte("not found")) {
			t.Errorf("%s is not there: %v\n%s", path, err, out)
		}
	}
	if t.Failed() {
		t.Logf("the console:\n%s", d.said())
	}
}

package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// machineTime bounds one life of a virtual machine: an emulation on a busy machine is
// slow.
const machineTime = 10 * time.Minute

// kernels are where a kernel to boot may be; build.sh puts one there.
func kernels() []string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	return []string{filepath.Join(cache, "zinit-test", "kernel", "boot", "vmlinuz-*")}
}

// A vm is a machine that is to be booted.
type vm struct {
	files  map[string]string               // services
	system map[string]string               // those of the system
	append string                          // to the kernel's command line
	add    []string                        // files, as zinit-initramfs has them
	args   []string                        // of the emulator
	says   func(line string) (enough bool) // is called with each line of the console; nil: nobody is
}

// boot runs a machine to its end and returns what it said on its console.
func (m vm) boot(t *testing.T) string {
	t.Helper()
	return m.run(t, m.command(t))
}

// command is the emulator with everything that it needs.
func (m vm) command(t *testing.T) *exec.Cmd {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the machine that is emulated is of another kind: it needs amd64")
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("needs qemu-system-x86_64 (of the package qemu-system-x86): ", err)
	}
	// The kernel counts the ticks of its timer, and does not boot when an emulator that is
	// not given the processor for a while has made too few.
	return exec.Command(qemu, append([]string{"-accel", "tcg", "-m", "512", "-nographic", "-nic", "none", "-no-reboot", "-kernel", kernel(t),
		"-initrd", m.image(t), "-append", "console=ttyS0 panic=-1 quiet no_timer_check " + m.append}, m.args...)...)
}

// kernel is one to boot.
func kernel(t *testing.T) string {
	t.Helper()
	var kernel string
	for _, pattern := range kernels() {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			kernel = found[len(found)-1]
		}
	}
	if kernel == "" {
		t.Skipf("needs a kernel for amd64 at %s: ./build.sh test puts one there", strings.Join(kernels(), " or "))
	}
	return kernel
}

// image writes the file that the machine boots.
func (m vm) image(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "image")
	probe := filepath.Join(dir, "vm")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", probe, "./testdata/vm")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build: %v\n%s", err, out)
	}
	args := []string{"-o", image, "--add", probe + ":/bin/vm", "--add", probe + ":/bin/sh"}
	for flag, files := range map[string]map[string]string{"services": m.files, "system": m.system} {
		if err := os.Mkdir(filepath.Join(dir, flag), 0o755); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--"+flag, filepath.Join(dir, flag))
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, flag, name+".toml"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, add := range m.add {
		args = append(args, "--add", add)
	}
	write := exec.Command(filepath.Join(binDir(t), "zinit-initramfs"), args...)
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("cannot write the image: %v\n%s", err, out)
	}
	return image
}

// run reads the console until the machine ends, or says that it does nothing more.
func (m vm) run(t *testing.T, qemu *exec.Cmd) string {
	t.Helper()
	out, err := qemu.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var console, complaints bytes.Buffer
	qemu.Stderr = &complaints
	if err := qemu.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(machineTime, func() { qemu.Process.Kill() })
	defer late.Stop()
	began := time.Now()
	lines := bufio.NewScanner(io.TeeReader(out, &console))
	for lines.Scan() {
		if strings.Contains(lines.Text(), "System halted") {
			qemu.Process.Kill() // the machine stays on
		}
		if m.says != nil && m.says(strings.TrimSpace(lines.Text())) {
			qemu.Process.Kill()
		}
	}
	err = qemu.Wait()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && strings.Contains(console.String(), "System halted")) {
		t.Errorf("qemu after %v: %v %s", time.Since(began).Round(time.Second), err, &complaints)
	}
	return strings.NewReplacer("\r", "", cleared, cleared+"\n").Replace(console.String())
}

// cleared is the last thing that the firmware does to the terminal; it is on the first
// line of whoever speaks first.
const cleared = "\x1b[2J"

// judge reads what a machine said: it is to have looked at all there is and to have
// ended in one way.
func judge(t *testing.T, console, end string) {
	t.Helper()
	for line := range strings.Lines(console) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "FAIL "), strings.Contains(line, "Kernel panic"):
			t.Error(line)
		case strings.HasPrefix(line, "MEASURED "), strings.HasPrefix(line, "ok "):
			t.Log(line)
		}
	}
	if !strings.Contains(console, end) {
		t.Errorf("it did not end with %q", end)
	}
	if t.Failed() {
		_, text, _ := strings.Cut(console, "Booting from")
		t.Logf("the console:\n%s", text)
	}
}

// A machine with fifty services, which are looked at while everything goes wrong that
// can; then it goes on in another root, and is rebooted.
func TestMachineKeepsUpItsServices(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"first": file("first", "vm first"),
		"again": file("again", "vm serve"),
		"clock": file("clock", "vm serve"),
		"deaf":  file("deaf", "vm stubborn", lifecycle, "stop_timeout_ms = 500"),
		"hog":   file("hog", "vm hog", `status = "stop"`, lifecycle, `restart = "never"`, "[limits]", `memory_max = "24M"`),
		"later": file("later", "vm hog /tmp/now", lifecycle, `restart = "never"`, "[limits]", `memory_max = "24M"`),
		"crowd": file("crowd", "vm crowd", `status = "stop"`, "[limits]", "tasks_max = 20"),
		"spin":  file("spin", "vm spin", `status = "stop"`, "[limits]", `cpu_quota = "20%"`),
		"check": file("check", "vm check"),
	}
	for i := range 50 {
		name := fmt.Sprintf("s%02d", i)
		files[name] = file(name, "vm serve", "[dependencies]", `after = ["first"]`)
	}
	monitor := filepath.Join(t.TempDir(), "monitor")
	m := vm{files: files, append: "hostname=box zinit.log=error", args: []string{"-monitor", "unix:" + monitor + ",server=on,wait=off"}}
	m.says = func(line string) bool {
		if line != "press" {
			return false
		}
		keyboard, err := net.Dial("unix", monitor)
		if err == nil {
			t.Cleanup(func() { keyboard.Close() })
			_, err = io.WriteString(keyboard, "sendkey ctrl-alt-delete\n")
		}
		if err != nil {
			t.Error(err)
		}
		return err != nil
	}
	judge(t, m.boot(t), "reboot: Restarting system")
}

// A machine goes on with another kernel, which is told of a console that it has not:
// what it says goes to the line that would be the console. Its first process is named
// start, and has the name of the machine from its file. It is powered off in the end:
// were it reset, or failed the kernel, then the first would begin again.
func TestMachineGoesOnWithoutAConsole(t *testing.T) {
	t.Parallel()
	start := filepath.Join(t.TempDir(), "start.toml")
	if err := os.WriteFile(start, []byte("[init]\nhostname = \"named\"\nservices_dir = \"/etc/zinit/services\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mute := vm{files: map[string]string{"s00": file("s00", "vm serve"), "mute": file("mute", "vm mute")}, add: []string{start + ":/etc/sideros/start.toml"}}
	m := vm{append: "zinit.log=error", args: []string{"-action", "reboot=reset"},
		files: map[string]string{"s00": file("s00", "vm serve"), "other": file("other", "vm other")},
		add:   []string{kernel(t) + ":/boot/kernel", mute.image(t) + ":/boot/image"}}
	first := 0
	m.says = func(line string) bool {
		if strings.HasPrefix(line, "ok another kernel") {
			first++
		}
		return first > 1 // and so on
	}
	judge(t, m.boot(t), "ok another server without a console")
	// What it said last may be lost with it; the other one has said enough.
	if first > 1 {
		t.Errorf("the first kernel went on with another one %d times", first)
	}
}

// Fault 15: the server is stopped when the machine is to be powered off. The machine
// is one under repair.
func TestFault15AMachineIsPoweredOffWithoutAServer(t *testing.T) {
	t.Parallel()
	m := vm{append: "zinit.log=error single",
		files: map[string]string{"s00": file("s00", "vm serve")},
		system: map[string]string{
			"single": file("single", "vm single"),
			"deaf":   file("deaf", "vm stubborn", lifecycle, "stop_timeout_ms = 500"),
		}}
	console := m.boot(t)
	judge(t, console, "reboot: Power down")
	for _, said := range []string{"ok shell on the console", "the server does not answer: the keeper stops the services by itself", "deaf did not stop in time: killing it",
		"powering off: waiting for processes that no service has"} {
		if !strings.Contains(console, said) {
			t.Errorf("nobody said %q", said)
		}
	}
}

func TestMachineIsHalted(t *testing.T) {
	t.Parallel()
	m := vm{append: "zinit.log=error", files: map[string]string{"s00": file("s00", "vm serve"), "login": file("login", "vm login")},
		system: map[string]string{"halts": file("halts", "vm halts")}}
	judge(t, m.boot(t), "reboot: System halted")
}

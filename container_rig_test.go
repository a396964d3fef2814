package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// image is a directory with the layout of testdata/container, which holds nothing but
// static programs, made once.
var image = sync.OnceValues(func() (string, error) {
	dir, err := program()
	if err != nil {
		return "", err
	}
	app, out := filepath.Join(dir, "app"), filepath.Join(dir, "image")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", app, "./testdata/container/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	for _, cmd := range []*exec.Cmd{build, exec.Command("testdata/container/image.sh", filepath.Join(dir, "zinit"), app, out)} {
		if text, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("cannot make the image: %w\n%s", err, text)
		}
	}
	return out, nil
})

// A box is a container of that image, run by crun. The fields are changed before start.
type box struct {
	t        testing.TB
	dir      string // of its bundle
	args     []string
	env      []string
	services map[string]string // in place of those of the image; nil: those
	readOnly bool              // all of its root
	bind     map[string]string // files of this machine, by where they are in it
	noRun    bool              // there is no tmpfs on /run
	openRun  bool              // everybody may write there, and execute nothing
	noProc   bool
	uid      int
	stdin    io.Reader
	tty      *os.File // the terminal that it runs on, in place of pipes
	cmd      *exec.Cmd

	out, errs *record
	ended     chan struct{}
	begun     time.Time
}

// newBox prepares a container that runs args.
func newBox(t testing.TB, args ...string) *box {
	t.Helper()
	if _, err := exec.LookPath("crun"); err != nil {
		t.Skip("there is no crun: apt-get install crun")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root runs containers here")
	}
	binDir(t)
	engine.Do(func() {
		// Without zinit: what fails here is the engine's.
		probe := makeBox(t, "app", "exit", "0").start()
		<-probe.ended
		probe.errs.whole(t)
		if code := probe.cmd.ProcessState.ExitCode(); code != 0 {
			engineFails = fmt.Sprintf("crun cannot run containers here (exit code %d): %s", code, probe.errs)
		}
	})
	if engineFails != "" {
		t.Skip(engineFails)
	}
	return makeBox(t, args...)
}

// Whether crun works is found out once.
var (
	engine      sync.Once
	engineFails string // empty: it works
)

func makeBox(t testing.TB, args ...string) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "zinit-box-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &box{t: t, dir: dir, args: args, env: []string{"PATH=/bin", "HOME=/"}}
}

// startOnTerminal gives the container a terminal of its own. shown is what that shows.
func (b *box) startOnTerminal(t *testing.T) (master *os.File, shown *record) {
	t.Helper()
	master, path := terminal(t)
	slave, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	b.tty = slave
	b.start()
	slave.Close()
	return master, newRecord(master)
}

// start runs the container.
func (b *box) start() *box {
	b.t.Helper()
	b.unpack()
	b.out, b.errs = b.pipe(), b.pipe()
	b.cmd = b.crun("run", "--pid-file", filepath.Join(b.dir, "pid"), filepath.Base(b.dir))
	b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = b.stdin, b.out.w, b.errs.w
	if b.tty != nil {
		b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = b.tty, b.tty, b.tty
		b.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	}
	b.begun, b.ended = time.Now(), make(chan struct{})
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.out.w.Close()
	b.errs.w.Close()
	go func() {
		b.cmd.Wait()
		close(b.ended)
	}()
	b.t.Cleanup(b.remove)
	return b
}

// feeder is what a container reads, and who writes that: with a pipe of the kernel nobody
// waits for either of them when the container has ended.
func feeder(t *testing.T) (in, feed *os.File) {
	t.Helper()
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		feed.Close()
	})
	return in, feed
}

// pipe is a record of what is written into its w.
func (b *box) pipe() *record {
	b.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	rec := newRecord(r)
	rec.w = w
	return rec
}

// remove ends what a failed test has left.
func (b *box) remove() {
	select {
	case <-b.ended:
	default:
		b.crun("delete", "--force", filepath.Base(b.dir)).Run()
		<-b.ended
	}
	if b.t.Failed() {
		b.t.Logf("%v wrote to stdout:\n%s\nto stderr:\n%s", b.args, b.out, b.errs)
	}
}

// crun is a command of the engine. It is not to see the cgroups of this machine, which
// may be laid out in a way that it does not like.
func (b *box) crun(args ...string) *exec.Cmd {
	script := `mount -t tmpfs none /sys/fs/cgroup 2>/dev/null; exec crun --root "$0" --cgroup-manager=disabled "$@"`
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	b.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", script, filepath.Join(b.dir, "state")}, args...)...)
	cmd.Dir = b.dir
	return cmd
}

// unpack makes the bundle: its own copy of the image, and the description of what runs
// in it.
func (b *box) unpack() {
	b.t.Helper()
	from, err := image()
	if err != nil {
		b.t.Fatal(err)
	}
	root := filepath.Join(b.dir, "rootfs")
	if text, err := exec.Command("cp", "-al", from, root).CombinedOutput(); err != nil {
		b.t.Fatalf("%v: %s", err, text)
	}
	err = os.Chmod(b.dir, 0o755)
	if b.services != nil {
		dir := filepath.Join(root, "etc/zinit/services")
		err = errors.Join(err, os.RemoveAll(dir), os.Mkdir(dir, 0o755))
		for name, text := range b.services {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, name+".toml"), []byte(text), 0o644))
		}
	}
	spec, e := json.Marshal(b.spec())
	if err = errors.Join(err, e, os.WriteFile(filepath.Join(b.dir, "config.json"), spec, 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

// spec describes the container as engines do, without the extras of this machine.
func (b *box) spec() any {
	type object = map[string]any
	mount := func(at, kind string, options ...string) object {
		return object{"destination": at, "type": kind, "source": kind, "options": append(options, "nosuid")}
	}
	mounts := []object{mount("/dev", "tmpfs", "mode=755"), mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620")}
	switch {
	case b.openRun:
		mounts = append(mounts, mount("/run", "tmpfs", "mode=1777", "noexec"))
	case !b.noRun:
		mounts = append(mounts, mount("/run", "tmpfs", "mode=755"))
	}
	if !b.noProc {
		mounts = append(mounts, mount("/proc", "proc"))
	}
	for at, from := range b.bind {
		if from != "" {
			mounts = append(mounts, object{"destination": at, "type": "bind", "source": from, "options": []string{"bind", "ro"}})
		}
	}
	process := object{"args": b.args, "env": b.env, "cwd": "/", "user": object{"uid": b.uid, "gid": b.uid},
		"terminal": b.tty != nil, "noNewPrivileges": true}
	if b.uid == 0 {
		caps := []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"}
		process["capabilities"] = object{"bounding": caps, "effective": caps, "permitted": caps}
	}
	var spaces []object
	for _, kind := range []string{"pid", "ipc", "uts", "mount"} {
		spaces = append(spaces, object{"type": kind})
	}
	return object{"ociVersion": "1.0.0", "process": process, "root": object{"path": "rootfs", "readonly": b.readOnly},
		"hostname": "box", "mounts": mounts, "linux": object{"namespaces": spaces}}
}

// exec runs a program in the container and returns what it writes to both streams, and
// its exit code.
func (b *box) exec(args ...string) (string, int) {
	b.t.Helper()
	cmd := b.crun(append([]string{"exec", "--user", fmt.Sprintf("%d:%d", b.uid, b.uid), filepath.Base(b.dir)}, args...)...)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// must is exec for what has to end with 0.
func (b *box) must(args ...string) string {
	b.t.Helper()
	text, code := b.exec(args...)
	if code != 0 {
		b.t.Fatalf("%v: exit code %d\n%s", args, code, text)
	}
	return text
}

// kill sends a signal to process 1 of the container, as the engine does.
func (b *box) kill(sig syscall.Signal) {
	b.t.Helper()
	if err := syscall.Kill(b.pid(), sig); err != nil {
		b.t.Fatal(err)
	}
}

// becomesAnother replaces the program of process 1. Other containers link the same file,
// which looks as if it was changed: then it is asked again, as it says.
func (b *box) becomesAnother() {
	b.t.Helper()
	late := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for asked := 0; !strings.Contains(b.errs.String(), "this keeper is zinit"); {
		if strings.Count(b.errs.String(), "while it was tried: ask again") == asked {
			asked++
			b.kill(syscall.SIGUSR2)
		}
		select {
		case <-again.C:
		case <-late:
			b.t.Fatal("process 1 does not become another program")
		}
	}
}

// signalServer sends a signal to the server in the container.
func (b *box) signalServer(sig syscall.Signal) {
	b.t.Helper()
	for _, p := range childrenOf(b.pid()) {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)) // it may have ended
		if strings.HasPrefix(string(text), "zinit-child\x00") {
			if err := syscall.Kill(p.pid, sig); err != nil {
				b.t.Fatal(err)
			}
			return
		}
	}
	b.t.Fatal("there is no server")
}

// pid is process 1, as it is seen from outside.
func (b *box) pid() int {
	b.t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "pid"))
	if err != nil {
		b.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		b.t.Fatal(err)
	}
	return pid
}

// ends waits for the end of the container and checks its exit code.
func (b *box) ends(code int) {
	b.t.Helper()
	select {
	case <-b.ended:
	case <-time.After(patience):
		b.t.Fatalf("%v does not end", b.args)
	}
	b.out.whole(b.t)
	b.errs.whole(b.t)
	if got := b.cmd.ProcessState.ExitCode(); got != code {
		b.t.Errorf("%v: exit code %d, want %d", b.args, got, code)
	}
}

// says waits until all these texts have been written to a stream.
func (b *box) says(to *record, texts ...string) {
	b.t.Helper()
	late := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for _, text := range texts {
		for !strings.Contains(to.String(), text) {
			select {
			case <-again.C:
			case <-late:
				b.t.Fatalf("%v does not say %q", b.args, text)
			}
		}
	}
}

// whole waits for the end of what is written.
func (r *record) whole(t testing.TB) {
	t.Helper()
	select {
	case <-r.over:
	case <-time.After(patience):
		t.Error("somebody still holds a stream of the container")
	}
}

// byeOf finds when a service was told to stop: in the middle, in nanoseconds.
var byeOf = regexp.MustCompile(`(\w+) \| bye (\d+)\n`)

// saidBye checks that services were told to stop, in that order.
func (b *box) saidBye(services ...string) {
	b.t.Helper()
	at := map[string]string{} // all times have as many digits
	for _, m := range byeOf.FindAllStringSubmatch(b.out.String(), -1) {
		at[m[1]] = m[2]
	}
	before := ""
	for _, name := range services {
		if at[name] == "" || at[name] < before {
			b.t.Errorf("%v did not stop in order: %s", services, b.out)
			return
		}
		before = at[name]
	}
}

package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"zinit/sock"
)

// asError is errors.As for what the server refused.
func asError(err error, to **sock.Error) bool { return errors.As(err, to) }

// confine has the server run where some file systems are other ones; the orders
// are those of mounts. Tests that use it need root.
func (in *instance) confine(orders ...string) {
	in.t.Helper()
	if os.Geteuid() != 0 {
		in.t.Skip("needs root to mount file systems")
	}
	self, err := os.Executable()
	if err != nil {
		in.t.Fatal(err)
	}
	in.alter = func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, childVar+"=confined", "GORACE=atexit_sleep_ms=0", ordersVar+"="+strings.Join(orders, ","))
		cmd.Args = append([]string{self, cmd.Path}, cmd.Args...)
		cmd.Path = self
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	}
}

// ordersVar holds what confined mounts, as KIND:DIR.
const ordersVar = "ZINIT_TEST_MOUNTS"

// confined is the child that mounts and becomes the server. The kinds are tmpfs (a
// small one, with the files that are in the directory), writable (a mount of its
// own) and readonly.
func confined() int {
	err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	for order := range strings.SplitSeq(os.Getenv(ordersVar), ",") {
		if err == nil {
			kind, dir, _ := strings.Cut(order, ":")
			err = mount(kind, dir)
		}
	}
	if err == nil {
		err = errors.Join(os.Unsetenv(childVar), os.Unsetenv(ordersVar), os.Unsetenv("GORACE"))
	}
	if err == nil {
		err = syscall.Exec(os.Args[1], os.Args[2:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "cannot confine the server:", err)
	return 1
}

func mount(kind, dir string) error {
	if kind == "tmpfs" {
		files, err := filepath.Glob(dir + "/*")
		texts := map[string][]byte{}
		for _, f := range files {
			if err == nil {
				texts[f], err = os.ReadFile(f)
			}
		}
		if err == nil {
			err = syscall.Mount("small", dir, "tmpfs", 0, "size=128k,mode=755")
		}
		for f, text := range texts {
			if err == nil {
				err = os.WriteFile(f, text, 0o644)
			}
		}
		return err
	}
	var err error
	if dir != "/" { // which is a mount already
		err = syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
	}
	if err == nil && kind == "readonly" {
		err = syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	return err
}

// inside is a path as the confined server sees it.
func (in *instance) inside(path ...string) string {
	return filepath.Join("/proc", strconv.Itoa(in.keeperPID()), "root", filepath.Join(path...))
}

// described is a service as service.set takes it.
func described(name, exec string) sock.ServiceConfig {
	return sock.ServiceConfig{Service: sock.Service{Name: name, Exec: exec}}
}

// refusedWith fails the test unless err is of that code.
func refusedWith(t *testing.T, what string, err error, code int, words ...string) {
	t.Helper()
	var e *sock.Error
	if !asError(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want an error of code %d", what, err, code)
		return
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("%s: %q does not say %q", what, e.Message, w)
		}
	}
}

// fill leaves no room in a directory that is confined to a disk of its own. What it
// returns makes room again.
func (in *instance) fill(dir string) (makeRoom func()) {
	in.t.Helper()
	ballast := in.inside(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		in.t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	f.Close()
	if !errors.Is(err, syscall.ENOSPC) {
		in.t.Fatalf("cannot fill the disk: %v", err)
	}
	return func() {
		in.t.Helper()
		if err := os.Remove(ballast); err != nil {
			in.t.Fatal(err)
		}
	}
}

// Fault 6: the disk is full while a service is set.
func TestFault6AFullDiskLeavesTheOldFileAndTheOldService(t *testing.T) {
	t.Parallel()
	const text = "# by hand\n[service]\nname = \"web\"\nexec = \"sleep 100000\" # for ever\n"
	in := newInstance(t, map[string]string{"by-hand": text, "other": file("other", quiet)})
	in.confine("tmpfs:" + in.config)
	in.launch()
	in.waitState("web other", "running")
	check, before := in.untouched("web", "other"), tree(t, in.inside(in.config))
	makeRoom := in.fill(in.config)
	c := in.dial()
	_, err := c.Set(shortly(t), described("web", "sleep 200000"), sock.SetOptions{})
	refusedWith(t, "set of one that is there", err, sock.CodePersist, "by-hand.toml", "no space left on device")
	_, err = c.Set(shortly(t), described("fresh", "sleep 200000"), sock.SetOptions{})
	refusedWith(t, "set of a new one", err, sock.CodePersist, "fresh.toml", "no space left on device")
	if got, err := os.ReadFile(in.inside(in.config, "by-hand.toml")); err != nil || string(got) != text {
		t.Errorf("the old file is %q: %v", got, err)
	}
	makeRoom()
	if after := tree(t, in.inside(in.config)); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the files were %q and are %q", before, after)
	}
	check()
	if _, err = c.Status(shortly(t), "fresh"); err == nil {
		t.Error("the new one is there although it could not be kept")
	}
	if plan, err := c.Reload(shortly(t), sock.ReloadParams{DryRun: true}); err != nil || len(plan.Added)+len(plan.Changed)+len(plan.Removed) != 0 {
		t.Errorf("a reload would do %+v, %v", plan, err)
	}
	// There is room again.
	if _, err = c.Set(shortly(t), described("web", "sleep 200000"), sock.SetOptions{}); err != nil {
		t.Error(err)
	}
	in.waitState("web", "running")
	if got, err := os.ReadFile(in.inside(in.config, "by-hand.toml")); err != nil || !strings.Contains(string(got), "# by hand") || !strings.Contains(string(got), "sleep 200000") {
		t.Errorf("the new file is %q: %v", got, err)
	}
}

// Fault 7: nothing can be written where the configuration is, or anywhere but in
// the runtime directory.
func TestFault7AReadOnlyConfigurationBootsAndRefusesToBeSet(t *testing.T) {
	t.Parallel()
	for name, orders := range map[string]string{"directory": "readonly:DIR/services", "root": "writable:DIR,readonly:/,readonly:DIR/services"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInstance(t, map[string]string{"web": file("web", quiet)})
			in.confine(strings.ReplaceAll(orders, "DIR", in.dir))
			in.launch()
			in.waitState("web", "running")
			check, before := in.untouched("web"), tree(t, in.config)
			c := in.dial()
			_, err := c.Set(shortly(t), described("web", "sleep 200000"), sock.SetOptions{})
			refusedWith(t, "set of one that is there", err, sock.CodePersist, "web.toml", "read-only file system")
			_, err = c.Set(shortly(t), described("fresh", "sleep 200000"), sock.SetOptions{})
			refusedWith(t, "set of a new one", err, sock.CodePersist, "fresh.toml", "read-only file system")
			err = c.Delete(shortly(t), "web", sock.DeleteOptions{})
			refusedWith(t, "delete", err, sock.CodeInternal, "failed to delete config file", "web.toml", "read-only file system")
			if after := tree(t, in.config); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("the files were %q and are %q", before, after)
			}
			check()
			// What need not be kept can be had.
			if _, err = c.Set(shortly(t), described("brief", quiet), sock.SetOptions{Ephemeral: true}); err != nil {
				t.Error(err)
			}
			in.waitState("brief", "running")
			in.must("reload")
			in.waitState("web brief", "running")
		})
	}
}

// Fault 38: others could write what root would run.
func TestFault38FilesThatOthersCanWriteAreRefusedByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, and other users")
	}
	t.Parallel()
	in := newInstance(t, map[string]string{
		"good":     file("good", quiet),
		"open":     file("open", quiet),
		"shared":   file("shared", quiet),
		"theirs":   file("theirs", quiet),
		"rootish":  file("rootish", quiet),
		"on-it":    file("on-it", quiet, requires("open")),
		"elsewher": "",
	})
	path := func(name string) string { return filepath.Join(in.config, name+".toml") }
	target := filepath.Join(in.dir, "target.toml")
	err := errors.Join(
		os.Chmod(path("open"), 0o666),
		os.Chmod(path("shared"), 0o664), os.Chown(path("shared"), 0, aUser),
		os.Chown(path("theirs"), aUser, 0),
		os.Chmod(path("rootish"), 0o664), // by the group of root
		os.Remove(path("elsewher")),
		os.WriteFile(target, []byte(file("linked", quiet)), 0o644), os.Chmod(target, 0o666),
		os.Symlink(target, path("linked")),
	)
	if err != nil {
		t.Fatal(err)
	}
	in.launch()
	in.waitState("good rootish", "running")
	for _, name := range []string{"open", "shared", "theirs", "linked"} {
		if s := in.status(name); s.State.State != sock.Failed || !strings.Contains(s.Reason, name+".toml") {
			t.Errorf("%s is %s: %s", name, s.State.State, s.Reason)
		}
		if !in.tells("error", name+".toml") {
			t.Errorf("the log does not say that %s is refused", name)
		}
		if out, code := in.zinit("start", name); code != 1 {
			t.Errorf("start %s: code %d: %s", name, code, out)
		}
	}
	if s := in.status("on-it"); s.State.State != sock.Blocked {
		t.Errorf("what requires one of them is %s", s.State.State)
	}
	check := in.untouched("good", "rootish")
	if err := errors.Join(os.Chmod(path("open"), 0o644), os.Chown(path("theirs"), 0, 0), os.Chmod(target, 0o644)); err != nil {
		t.Fatal(err)
	}
	in.must("reload")
	in.waitState("open theirs linked on-it", "running")
	check()

	// The directory: nothing in it can be trusted any more. What runs goes on.
	check = in.untouched("good", "open")
	if err := os.Chmod(in.config, 0o777); err != nil {
		t.Fatal(err)
	}
	out, _ := in.zinit("reload")
	if !strings.Contains(out, in.config) {
		t.Errorf("the reload says %s", out)
	}
	_, err = in.dial().Set(shortly(t), described("fresh", quiet), sock.SetOptions{})
	refusedWith(t, "set into it", err, sock.CodePersist, in.config)
	check()
}

// Fault 38: a server that is not root's only warns.
func TestFault38FilesThatOthersCanWriteAreAWarningToOthers(t *testing.T) {
	t.Parallel()
	in := newInstance(t, map[string]string{"open": file("open", quiet)})
	path := filepath.Join(in.config, "open.toml")
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		err := errors.Join(os.Chown(in.dir, aUser, aUser), os.Chown(in.config, aUser, aUser), os.Chown(path, aUser, aUser))
		if err != nil {
			t.Fatal(err)
		}
		in.alter = func(cmd *exec.Cmd) { cmd.SysProcAttr.Credential = &syscall.Credential{Uid: aUser, Gid: aUser} }
	}
	in.launch()
	in.waitState("open", "running")
	if !in.tells("warn", "open.toml") {
		t.Errorf("no word of the file in the log:\n%s", in.log)
	}
}

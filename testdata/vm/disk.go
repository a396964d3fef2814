package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk goes on in the system on the first disk, after putting zinit and its services
// there. As other boot loaders do it leaves the root read-only.
func disk() {
	if err := install(); err != nil {
		tell("FAIL disk: %v", err)
		return
	}
	if err := run("zinit-pid1", "--switch-root", "/newroot"); err != nil {
		tell("FAIL disk: %v", err)
	}
}

// modules are what a disk needs, in this order.
var modules = [...]string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk"}

func install() error {
	for _, name := range modules {
		f, err := os.Open("/modules/" + name + ".ko")
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
			return fmt.Errorf("%s: %w", name, err)
		}
		f.Close()
	}
	if err := os.MkdirAll("/newroot", 0o755); err != nil {
		return err
	}
	if err := until(func() error { return unix.Mount("/dev/vda", "/newroot", "ext4", 0, "") }); err != nil {
		return err
	}
	if err := copyFile("/bin/zinit", "/newroot/bin/zinit", 0o755); err != nil {
		return err
	}
	if err := run("zinit", "--install", "-s", "--init", "/newroot/sbin"); err != nil {
		return err
	}
	for _, at := range []string{"system", "services"} {
		files, err := filepath.Glob("/system/" + at + "/*.toml")
		if err != nil || len(files) == 0 {
			return errors.Join(err, fmt.Errorf("no services in /system/%s", at))
		}
		dir := "/newroot/etc/zinit/" + at
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for _, from := range files {
			if err := copyFile(from, filepath.Join(dir, filepath.Base(from)), 0o644); err != nil {
				return err
			}
		}
	}
	// One that can be mounted, and one that is not there and keeps nobody down.
	fstab := "/dev/none /mnt ext4 defaults 0 2\ntmpfs /srv tmpfs size=4m 0 0\n"
	if err := os.WriteFile("/newroot/etc/fstab", []byte(fstab), 0o644); err != nil {
		return err
	}
	return unix.Mount("", "/newroot", "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

func copyFile(from, to string, mode os.FileMode) error {
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, mode)
	}
	return err
}

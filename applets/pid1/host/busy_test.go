package host

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// alone runs f in a mount namespace of its own; its thread ends with it.
func alone(t *testing.T, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount")
	}
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFault57ABusyFileSystemIsMadeReadOnly(t *testing.T) {
	at := t.TempDir()
	alone(t, func() error {
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
			return err
		}
		defer unix.Unmount(at, unix.MNT_DETACH)
		path := filepath.Join(at, "file")
		writer, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := unmount(at); err == nil || !strings.Contains(err.Error(), "nor make it read-only") {
			t.Errorf("with a file that is being written: %v", err)
		}
		reader, err := os.Open(path)
		if err != nil {
			return err
		}
		writer.Close()
		if err := unmount(at); err == nil || !strings.Contains(err.Error(), "made it read-only") {
			t.Errorf("with a file that is being read: %v", err)
		}
		if err := os.WriteFile(path, nil, 0o600); !errors.Is(err, unix.EROFS) {
			t.Errorf("it can be written still: %v", err)
		}
		reader.Close()
		if err := unmount(at); err != nil {
			t.Errorf("with nobody there: %v", err)
		}
		if err := unmount(at); err != nil {
			t.Errorf("a second time: %v", err)
		}
		return nil
	})
}

// What is mounted stays what it is; what is not is made, with its place.
func TestOnlyWhatIsMissingIsMounted(t *testing.T) {
	root := t.TempDir()
	alone(t, func() error {
		m := mount{at: "/run", kind: "tmpfs", flags: plain, data: "mode=0755"}
		at := filepath.Join(root, m.at)
		defer unix.Unmount(at, unix.MNT_DETACH)
		if err := m.put(root); err != nil {
			return err
		}
		if !IsMountPoint(at) {
			t.Error("nothing is mounted")
		}
		if err := os.WriteFile(filepath.Join(at, "kept"), nil, 0o600); err != nil {
			return err
		}
		if err := m.put(root); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(at, "kept")); err != nil {
			t.Errorf("it was mounted again: %v", err)
		}
		unknown := mount{at: "/x", kind: "nosuchfs"}
		if err := unknown.put(root); err == nil {
			t.Error("an unknown kind was mounted")
		}
		unknown.optional = true
		if err := unknown.put(root); err != nil {
			t.Errorf("nobody misses it, and still: %v", err)
		}
		dev := filepath.Join(root, "dev")
		if err := os.MkdirAll(dev, 0o755); err != nil {
			return err
		}
		defer unix.Unmount(dev, unix.MNT_DETACH)
		if err := bareDev(dev); err != nil {
			return err
		}
		if null, err := os.OpenFile(filepath.Join(dev, "null"), os.O_RDWR, 0); err == nil {
			null.Close()
		} else if !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) { // a user namespace may not
			t.Errorf("a kernel without devtmpfs has no null: %v", err)
		}
		return nil
	})
}

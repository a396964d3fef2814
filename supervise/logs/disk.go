package logs

import "os"

// A disk is all that sinks change in file systems, one call for each change, so that
// tests can let the server die before any of them. The error of each is that of the
// system call.
type disk interface {
	open(path string, flags int, mode os.FileMode) (*os.File, error)
	write(f *os.File, b []byte) (int, error)
	writeAt(f *os.File, b []byte, off int64) error
	rename(from, to string) error
	remove(path string) error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) open(path string, flags int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flags, mode)
}

func (osDisk) write(f *os.File, b []byte) (int, error) { return f.Write(b) }

func (osDisk) writeAt(f *os.File, b []byte, off int64) error {
	_, err := f.WriteAt(b, off)
	return err
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }

package logs

import "syscall"

// syscallUmask is the umask of the test, which stays as it is.
func syscallUmask() int {
	m := syscall.Umask(0)
	syscall.Umask(m)
	return m
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }

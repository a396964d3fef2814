package reap

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A siginfo is what waitid fills in. x/sys hides the fields that matter, and
// where they are depends on the size of a pointer.
type siginfo [128 / 8]uint64

const (
	codeOffset = 8
	pidOffset  = 8 + unsafe.Sizeof(uintptr(0)) // 12 or 16: the union is aligned to a pointer
)

func (s *siginfo) word(offset uintptr) int32 {
	return *(*int32)(unsafe.Add(unsafe.Pointer(s), offset))
}

func (s *siginfo) pid() int { return int(s.word(pidOffset)) }

func (s *siginfo) status() Status {
	value := s.word(pidOffset + 8) // si_uid is between them
	if s.word(codeOffset) == cldExited {
		return ExitCode(int(value))
	}
	status := KilledBy(syscall.Signal(value))
	status.core = s.word(codeOffset) == cldDumped
	return status
}

// si_code of a child that ended.
const (
	cldExited = 1
	cldDumped = 3
)

// waitid is waitid(2). With WNOHANG and nobody there the pid is 0.
func waitid(idType, id int, info *siginfo, options int) syscall.Errno {
	for {
		*info = siginfo{}
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id),
			uintptr(unsafe.Pointer(info)), uintptr(options), 0, 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// waitNow is waitid for a question that the kernel answers at once; it spares the
// scheduler the news.
func waitNow(idType, id int, info *siginfo, options int) syscall.Errno {
	*info = siginfo{}
	_, _, errno := unix.RawSyscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id),
		uintptr(unsafe.Pointer(info)), uintptr(options|unix.WNOHANG), 0, 0)
	return errno
}

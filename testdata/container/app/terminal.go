package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"unsafe"
)

func ioctl(request uintptr, value *int32) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, request, uintptr(unsafe.Pointer(value))); errno != 0 {
		return errno
	}
	return nil
}

// terminal is a small shell: it says whether the terminal is its own, reads a line,
// waits for Ctrl-C, and then runs a job that can be stopped and interrupted.
func terminal() int {
	const tiocgsid = 0x5429
	var session, front int32
	if err := ioctl(tiocgsid, &session); err != nil {
		fmt.Println("no controlling terminal:", err)
		return 1
	}
	if err := ioctl(syscall.TIOCGPGRP, &front); err != nil {
		return result(err)
	}
	fmt.Printf("leader %v, in front %v\n", int(session) == os.Getpid(), int(front) == syscall.Getpgrp())
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return result(err)
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, syscall.SIGINT)
	fmt.Printf("read %q\n", line)
	<-interrupt
	fmt.Println("interrupted")
	return jobs()
}

// jobs runs one in the foreground, three times: until it stops, until it is
// interrupted, and itself again.
func jobs() int {
	signal.Ignore(syscall.SIGTTOU) // who takes the foreground back is in the background
	job, err := begin(&syscall.SysProcAttr{Foreground: true, Ctty: 0}, "job")
	if err != nil {
		return result(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(job.Pid, &status, syscall.WUNTRACED, nil); err != nil {
		return result(err)
	}
	own := int32(syscall.Getpgrp())
	if err := ioctl(syscall.TIOCSPGRP, &own); err != nil {
		return result(err)
	}
	fmt.Println("job stopped", status.Stopped())
	group := int32(job.Pid)
	if err := ioctl(syscall.TIOCSPGRP, &group); err != nil {
		return result(err)
	}
	if err := syscall.Kill(-job.Pid, syscall.SIGCONT); err != nil {
		return result(err)
	}
	fmt.Println("job continued")
	if _, err := syscall.Wait4(job.Pid, &status, 0, nil); err != nil {
		return result(err)
	}
	fmt.Println("job ended by", int(status.Signal()))
	return 3
}

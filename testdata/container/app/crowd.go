package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// crowd leaves as many dead children to process 1 as are written on a line of its
// standard output each time it gets SIGUSR1: n, or what there is room for. It is to be
// a child of process 1.
func crowd(n int) int {
	more := make(chan os.Signal, 1)
	signal.Notify(more, syscall.SIGUSR1)
	fmt.Println("crowd of", os.Getpid())
	for range more {
		left := 0
		for left < n && abandon() {
			left++
		}
		fmt.Println("left", strconv.Itoa(left))
	}
	return 0
}

// abandon has a child of this process's parent end without having been more than that;
// false says that the kernel refuses one.
func abandon() bool {
	// What ends before its exec is given away too, and is the cheapest.
	_, err := syscall.ForkExec("/nothing", []string{"nothing"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_PARENT}})
	return err == syscall.ENOENT
}

// last ends with a code when it is told to.
func last(code int) int {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	fmt.Println("will end with", code)
	<-told
	return code
}

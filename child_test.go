package main_test

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// childVar names, in the environment of a service, what the test binary does
// instead of running tests.
const childVar = "ZINIT_CHILD"

// children are the programs that the test binary can be; each returns an exit
// code. Add to it what a test needs.
var children = map[string]func() int{
	"echo": echo,
	// See the tests of sockets that services are given.
	"given": given, "inetd": inetd,
	// Ends at the first TERM, with code 0.
	"serve": func() int {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		fmt.Println("serving")
		<-term
		return 0
	},
	// Only a KILL ends it.
	"stubborn": func() int {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		fmt.Println("serving")
		select {}
	},
	// See the tests of logs under faults.
	"leave": leave,
	"hold":  hold,
	"flood": flood,
	"noise": noise,
	"chaos": chaosChild, // of TestChaos
	// See the tests that kill servers and keepers under faults.
	"live": liveAsChild,
	"bury": bury,
	// See the tests of log files.
	"count": count,
	"tick":  tick,
	// See the tests of types of services.
	"act": act,
	// See the tests of the documentation of services.
	"web": web,
	// See the tests of processes under faults.
	"older": older,
	// See the tests of disks under faults.
	"confined": confined,
	// See the tests of ports.
	"listen": listen,
	// Fails at once.
	"fail": func() int { return 7 },
}

// childExec is the value of exec for a service that runs one of children.
func childExec(t *testing.T, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if children[name] == nil {
		t.Fatalf("there is no child %q", name)
	}
	// The race detector makes every program wait a second before it ends.
	return fmt.Sprintf("env GORACE=atexit_sleep_ms=0 %s=%s %s", childVar, name, self)
}

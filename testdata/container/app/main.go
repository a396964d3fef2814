// Command app is the program of an image: what a service in a container can do.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	what := "serve"
	if len(os.Args) > 1 {
		what = os.Args[1]
	}
	os.Exit(run(what, os.Args[2:]))
}

func run(what string, args []string) int {
	switch what {
	case "serve": // ends well when it is told to
		return serve()
	case "stubborn": // only SIGKILL ends it
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		fmt.Println("serving")
		<-time.After(time.Hour)
		return 0
	case "exit": // exit CODE
		return number(args)
	case "kill": // is ended by SIGKILL
		return result(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	case "cat": // stdin to stdout, and how much it was to stderr
		n, err := io.Copy(os.Stdout, os.Stdin)
		fmt.Fprintln(os.Stderr, n, "bytes")
		return result(err)
	case "orphans": // orphans N leaves N children to process 1 and waits until they are reaped
		return orphans(number(args))
	case "crowd": // crowd N leaves N dead children to process 1 for each SIGUSR1
		return crowd(number(args))
	case "last": // last CODE ends with it on SIGUSR1
		return last(number(args))
	case "leave":
		return result(start("exit", "0"))
	case "terminal": // shows what a terminal is good for
		return terminal()
	case "job":
		fmt.Println("job runs")
		<-time.After(time.Hour)
		return 0
	}
	fmt.Fprintln(os.Stderr, "app: there is no", what)
	return 2
}

func number(args []string) int {
	n := -1
	if len(args) > 0 {
		n, _ = strconv.Atoi(args[0])
	}
	return n
}

func result(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Println("serving")
	fmt.Fprintln(os.Stderr, "ready")
	<-term
	// Lines of two services may be shown in another order than they were written in.
	fmt.Println("bye", time.Now().UnixNano())
	return 0
}

// start runs this program once more and does not wait for it.
func start(args ...string) error {
	_, err := begin(&syscall.SysProcAttr{}, args...)
	return err
}

func begin(sys *syscall.SysProcAttr, args ...string) (*os.Process, error) {
	return os.StartProcess("/bin/app", append([]string{"app"}, args...),
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: sys})
}

// orphans has n children each leave one of its own behind.
func orphans(n int) int {
	for range n {
		p, err := begin(nil, "leave")
		if err == nil {
			_, err = p.Wait()
		}
		if err != nil {
			return result(err)
		}
	}
	for left := 1; left > 0; <-time.After(time.Millisecond) {
		left = 0
		dirs, err := os.ReadDir("/proc")
		if err != nil {
			return result(err)
		}
		for _, d := range dirs {
			stat, _ := os.ReadFile("/proc/" + d.Name() + "/stat") // of what is no process there is none
			line, _ := os.ReadFile("/proc/" + d.Name() + "/cmdline")
			fields := strings.Fields(string(stat))
			if len(fields) > 3 && fields[1] == "(app)" && fields[3] == "1" && (len(line) == 0 || strings.Contains(string(line), "\x00exit\x00")) {
				left++
			}
		}
	}
	fmt.Println("reaped")
	return 0
}

package xinet

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"zinit/applets/env"
	"zinit/applets/logline"
	"zinit/proxy"
	"zinit/proxy/remote"
)

// Managed runs the proxies of a server: NAME --socket=PATH --log-level=LEVEL. It ends
// when it was drained, or when neither the server nor the keeper is there any more.
// Signals that stop a whole terminal or session are not meant for it.
func Managed(e *env.Env) int {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	raiseFiles()
	args := e.Args
	if len(args) > 0 {
		args = args[1:]
	}
	socket, level, err := remote.ParseArgs(args)
	if err != nil {
		fmt.Fprintf(e.Stderr, "%s: %v\n", remote.Applet, err)
		return env.ExitUsage
	}
	out := logline.NewPatient(e.Stderr)
	defer out.Flush()
	log := logline.New(out, level, false)
	orders := os.NewFile(remote.OrdersFD, "orders")
	defer orders.Close()
	set := proxy.NewSet(&control{paths: []string{socket}}, log)
	if err := remote.Serve(orders, set); err != nil {
		log.Error("the proxies end: " + err.Error())
		return env.ExitFailed
	}
	return env.ExitDone
}

package cli

import "slices"

// A verb is one row of the command line.
type verb struct {
	name    string
	aliases []string
	args    string // what follows the flags: "NAME..."
	min     int    // number of words
	max     int    // -1: any number
	flags   []flag
	summary string // one line, lower case
	help    string // what the flags do not tell; lines of at most 79 columns
	example string // one or two lines
	run     func(*session) int
}

// A flag is one option. Arg is empty for a flag without a value.
type flag struct {
	long, short, arg string
	about            string
}

var (
	waitFlag    = flag{"wait", "", "", "return when it has happened"}
	timeoutFlag = flag{"timeout", "", "D", "wait at most that long: 500ms, 10s, 2m"}
)

// table lists the verbs in the order of the help. It is made when it is asked
// for: package-level work would run in every applet, process 1 included.
func table() []verb {
	return slices.Concat(questions(), changes(), aboutServer())
}

// questions is the verbs that change nothing.
func questions() []verb {
	return []verb{
		{
			name: "list", aliases: []string{"ls"}, flags: []flag{jsonFlag},
			summary: "list all services",
			help: `One line for each service: state, name, pid, and then how long it is up, how
often it was restarted, or why it is not running.
`,
			example: "zinit list\nzinit list --json",
			run:     list,
		},
		{
			name: "status", args: "[NAME...]", max: -1, flags: []flag{jsonFlag},
			summary: "show services in detail",
			help:    "Without a NAME: all services.\n",
			example: "zinit status web\nzinit status web --json",
			run:     status,
		},
		{
			name: "why", args: "NAME...", min: 1, max: -1, flags: []flag{jsonFlag},
			summary: "explain why a service is not running",
			example: "zinit why web",
			run:     why,
		},
		{
			name: "tree", flags: []flag{jsonFlag},
			summary: "show services with their dependencies",
			help:    "In the order in which they start.\n",
			example: "zinit tree",
			run:     tree,
		},
		{
			name: "logs", args: "NAME", min: 1, max: 1,
			flags:   []flag{{"lines", "n", "N", "the last N lines (default: 100)"}, jsonFlag},
			summary: "show what a service printed",
			help: `Each line is MILLISECONDS [STREAM] TEXT. On a terminal the time is readable and
control characters are escaped.
`,
			example: "zinit logs web\nzinit logs web -n 20",
			run:     logs,
		},
		{
			name: "wait", args: "NAME...", min: 1, max: -1,
			flags: []flag{
				{"state", "", "S", "inactive, blocked, starting, running (default),\nstopping, exited, failed, up (running, or a oneshot\nthat ended well) or down (no process)"},
				timeoutFlag, jsonFlag,
			},
			summary: "wait until services are in a state",
			help: `The server answers when all of them are there: nothing polls. The exit code is
0 then, and 3 when the time is up; without --timeout it waits for ever. With it
the server, too, may come up meanwhile.
`,
			example: "zinit wait db web --timeout 30s\nzinit wait migrate --state exited",
			run:     wait,
		},
	}
}

// changes is the verbs that act on services.
func changes() []verb {
	return []verb{
		{
			name: "start", args: "NAME...", min: 1, max: -1,
			flags: []flag{
				{"no-deps", "", "", "start NAME alone"},
				{"tree", "", "", "name what it waits on and start that by hand too"},
				waitFlag, timeoutFlag,
			},
			summary: "start services and what they need",
			help: `What NAME requires and wants is started first. A service that has to wait for
another one is blocked until that one is up; zinit why NAME tells more.
With --wait the exit code is 0 when all are running, or have done their work,
and 1 when one did not get there.
`,
			example: "zinit start web\nzinit start web db --wait --timeout 30s",
			run:     start,
		},
		{
			name: "stop", args: "NAME...", min: 1, max: -1, flags: []flag{waitFlag, timeoutFlag},
			summary: "stop services and what requires them",
			help: `What requires NAME is stopped first. It stays stopped until somebody starts it.
With --wait the exit code is 0 when all are down, and 1 when one is not.
`,
			example: "zinit stop web\nzinit stop db --wait",
			run:     stop,
		},
		{
			name: "restart", args: "NAME...", min: 1, max: -1, flags: []flag{waitFlag, timeoutFlag},
			summary: "stop services and start them again",
			help: `What requires NAME is stopped before and comes back with it. With --wait the
exit code is 0 when all are up again, and 1 when one is not.
`,
			example: "zinit restart web\nzinit restart web --wait --timeout 1m",
			run:     restart,
		},
		{
			name: "kill", args: "NAME [SIG]", min: 1, max: 2,
			flags:   []flag{{"signal", "s", "SIG", "the signal (default: SIGTERM)"}},
			summary: "send a signal to a service",
			help: `SIG is a name or a number: HUP, SIGHUP, 1. What happens to a service that ends
by it is up to its restart policy; zinit stop ends it for good.
`,
			example: "zinit kill web HUP\nzinit kill web -s SIGUSR1",
			run:     kill,
		},
	}
}

// aboutServer is the verbs that concern the server or need none.
func aboutServer() []verb {
	return []verb{
		{
			name: "check", args: "[DIR|FILE...]", max: -1, flags: []flag{jsonFlag},
			summary: "check service files; needs no server",
			help: `Each problem is a line FILE:LINE: KEY: MESSAGE. Services are TOML files in one
directory; files that are named are taken as one set. Without arguments: the
directory that the server would use. The exit code is 1 when there are errors.
`,
			example: "zinit check\nzinit check ./services web.toml",
			run:     check,
		},
		{
			name:    "ping",
			flags:   []flag{{"timeout", "", "D", "look that long for a server that is about to start"}, jsonFlag},
			summary: "see whether the server answers",
			example: "zinit ping\nzinit ping --timeout 10s",
			run:     ping,
		},
		{
			name:    "shutdown",
			summary: "stop all services and the server",
			help: `Returns when the server has gone. Under process 1 of a machine this is a power
off; in a container the container ends.
`,
			example: "zinit shutdown",
			run:     shutdown,
		},
		{
			name: "help", args: "[VERB]", max: 1,
			summary: "show help",
			example: "zinit help start",
			run:     help,
		},
	}
}

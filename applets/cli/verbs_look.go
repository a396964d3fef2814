package cli

// questions is the verbs that change nothing.
func questions() []verb {
	return []verb{
		{
			name: "list", aliases: []string{"ls"}, flags: []flag{jsonFlag, legacyFlag}, apart: "json legacy",
			summary: "list all services",
			help: `One line for each service: state, name, pid, and then how long it is up, how
often it was restarted, or why it is not running. What would take more than two
lines on a terminal is cut short: zinit status tells the rest.
`,
			example: "zinit list\nzinit list --json",
			run:     list,
		},
		{
			name: "status", args: "[NAME...]", max: -1, flags: []flag{jsonFlag, legacyFlag}, apart: "json legacy",
			summary: "show services in detail",
			help: `Without a NAME: all services. Each line is there only if there is something to
say. What a service uses is of all its processes together, and exact where it
has a cgroup; "about" is a sum over those that are alive. Limits that are not
in force are named with the reason, and what an earlier run has left alive.
`,
			example: "zinit status web\nzinit status web --json",
			run:     status,
		},
		{
			name: "timers", flags: []flag{jsonFlag},
			summary: "show what starts by itself, and when",
			help: `One line for each service with a timer, the next one first: when the timer
starts it next, when it last did, and how that ended or how it is now. Starts
are skipped while the last run has not ended.
`,
			example: "zinit timers",
			run:     timers,
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
			name: "logs", args: "[NAME...]", max: -1,
			flags: []flag{
				{"lines", "n", "N", "the last N lines of each, without a NAME of all\ntogether (default: 100; with --since all)"},
				{"follow", "f", "", "go on with what comes, until Ctrl-C"},
				{"since", "", "WHEN", "nothing older: 90s, 2h30m (ago), 15:04, 2026-01-31,\n\"2026-01-31 15:04:05\""},
				{"until", "", "WHEN", "nothing younger"},
				{"grep", "", "REGEXP", "only lines in which it is found"},
				{"stream", "", "S", "stdout, stderr, syslog (sent to /dev/log) or zinit\n(what zinit says itself)"},
				jsonFlag,
			},
			summary: "show what services printed",
			help: `Each line is MILLISECONDS [STREAM] TEXT. Without a NAME, or with several, those
of all are in the order of their times, each after "NAME | "; @syslog is what
came to /dev/log and is of no service. On a terminal the time is readable and
control characters are escaped. -f goes on when the server has been restarted.
`,
			example: "zinit logs web db -f\nzinit logs --since 10m --grep 'error|refused'",
			run:     logs,
		},
		{
			name: "events", args: "[NAME...]", max: -1,
			flags: []flag{
				{"now", "", "", "begin with the present states"},
				{"follow", "f", "", "for those used to it: events always goes on"},
				{"json", "", "", "one JSON object per line"},
			},
			summary: "show what happens to services, as it happens",
			help: `One line for each change, until Ctrl-C: TIME, then as in zinit list; "+ NAME",
"- NAME" and "~ NAME" when a service was added, removed or configured anew.
When the server was away, a line says so, and the states that are different
since then follow.
`,
			example: "zinit events\nzinit events web db --now\nzinit events --json",
			run:     events,
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
		{
			name: "debug-state", flags: []flag{jsonFlag},
			summary: "show everything about the graph of services",
			help:    "State, restarts, dependencies in both directions, processes.\n",
			example: "zinit debug-state",
			run:     debugState,
		},
		{
			name: "debug-procs", args: "NAME...", min: 1, max: -1, flags: []flag{jsonFlag},
			summary: "show the processes of services",
			example: "zinit debug-procs web",
			run:     debugProcs,
		},
	}
}

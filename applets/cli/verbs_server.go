package cli

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
			name:    "poweroff",
			summary: "stop all services and power off the machine",
			help: `Process 1 is told to, when it has proved to be the zinit whose server answers:
it then stops everything within a known time. Otherwise only that server and
its services are stopped, as by zinit shutdown.
`,
			example: "zinit poweroff",
			run:     poweroff,
		},
		{
			name:    "reboot",
			summary: "stop all services and start the machine anew",
			help: `Process 1 is told to, when it has proved to be the zinit whose server answers:
it then stops everything within a known time. Otherwise only that server and
its services are stopped, as by zinit shutdown.
`,
			example: "zinit reboot",
			run:     reboot,
		},
		{
			name: "help", args: "[VERB]", max: 1,
			summary: "show help",
			example: "zinit help start",
			run:     help,
		},
	}
}

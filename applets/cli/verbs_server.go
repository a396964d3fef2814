package cli

// endsTheMachine is the help of the verbs that do.
const endsTheMachine = `Process 1 is told to, when it has proved to be the zinit whose server answers:
it then stops everything within a known time. Otherwise only that server and
its services are stopped, as by zinit shutdown.
`

// aboutServer is the verbs that concern the server or need none.
func aboutServer() []verb {
	return []verb{
		{
			name: "check", args: "[DIR|FILE...]", max: -1, flags: []flag{jsonFlag},
			summary: "check service files; needs no server",
			help: `Each problem is a line FILE:LINE: KEY: MESSAGE. Services are files in one
directory, TOML, or YAML of zinit 0.2; files that are named are taken as one
set. A FILE may also be the start.toml of sideros-start, or a unit of systemd,
as zinit convert would read it. Without arguments: what the server would use.
The exit code is 1 when there are errors.
`,
			example: "zinit check\nzinit check ./services web.toml",
			run:     check,
		},
		convertVerb(),
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
			help:    endsTheMachine,
			example: "zinit poweroff",
			run:     poweroff,
		},
		{
			name:    "reboot",
			summary: "stop all services and start the machine anew",
			help:    endsTheMachine,
			example: "zinit reboot",
			run:     reboot,
		},
		{
			name:    "halt",
			summary: "stop all services and leave the machine on",
			help:    endsTheMachine,
			example: "zinit halt",
			run:     halt,
		},
		{
			name: "upgrade", args: "FILE", min: 1, max: 1,
			flags: []flag{
				{"sha256", "", "HEX", "the checksum that FILE must have"},
				{"to", "", "PATH", "the file to replace (default: what the server runs)"},
				{"timeout", "", "D", "how long the new one may take (default: 10s)"},
				{"keeper", "", "", "replace the program of the keeper, too"},
			},
			summary: "replace the program of the running server",
			help: `FILE must be a static zinit for this processor. It is installed in the place of
the old program, which is kept beside as PATH.old, and the server is started
anew from it; no service notices. When the new server has not proved itself in
time the old program is put back and started again: the exit code is 1 then.
The keeper above goes on as it is. With --keeper it becomes the new program,
too, in place and with all that it keeps, when the server has proved itself;
SIGUSR2 to the keeper does that alone. When zinit upgrade itself is killed, the
keeper goes back to the old program unless a server of the new one is ready
within fifteen seconds.
`,
			example: "zinit upgrade ./zinit-0.5.0 --sha256 9f86d081884c7d65...",
			run:     upgrade,
		},
		{
			name: "help", args: "[VERB]", max: 1,
			summary: "show help",
			example: "zinit help start",
			run:     help,
		},
	}
}

package cli

import "slices"

// changes is the verbs that act on services.
func changes() []verb { return slices.Concat(orders(), rosters()) }

// orders is the verbs that start, stop and signal.
func orders() []verb {
	return []verb{
		{
			name: "start", args: "NAME...", min: 1, max: -1,
			flags: []flag{
				{"no-deps", "", "", "start NAME alone"},
				{"tree", "", "", "name what it waits on and start that by hand too"},
				waitFlag, timeoutFlag,
			},
			apart:   "no-deps tree",
			summary: "start services and what they need",
			help: `What NAME requires and wants is started first. "Waiting" is a service that
starts when others have come up, "Blocked" one that does not start without
help: then the exit code is 3; zinit why NAME tells more. With --wait the exit
code is 0 when all are running, or have done their work, and 1 when one did not
get there.
`,
			example: "zinit start web\nzinit start web db --wait --timeout 30s",
			run:     start,
		},
		{
			name: "stop", args: "NAME...", min: 1, max: -1, flags: []flag{waitFlag, timeoutFlag},
			summary: "stop services and what requires them",
			help: `What requires NAME is stopped first. It stays stopped until somebody starts it.
A warning names processes that the stop does not reach: those that an earlier
run left with kill_mode = "process", and without cgroups those that have left
their session.
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
		{
			name: "signal-reload", args: "NAME...", min: 1, max: -1,
			summary: "have services read their own configuration again",
			help: `As the file of the service says: by its exec_reload, or else by its
reload_signal (default: SIGHUP) to the main process. What the service makes of
it, zinit logs NAME may tell. Service files that have changed: zinit reload.
`,
			example: "zinit signal-reload web",
			run:     signalReload,
		},
		{
			name: "start-all", flags: []flag{waitFlag, timeoutFlag},
			summary: "start all services of class user",
			help: `Those whose file says status = "ignore" are left alone. With --wait the exit
code is 0 when all are up, and 1 when one did not get there.
`,
			example: "zinit start-all --wait",
			run:     startAll,
		},
		{
			name: "stop-all", flags: []flag{waitFlag, timeoutFlag},
			summary: "stop all services of class user",
			help: `Those whose file says status = "ignore" are left alone. With --wait the exit
code is 0 when all are down, and 1 when one is not.
`,
			example: "zinit stop-all --wait",
			run:     stopAll,
		},
	}
}

// rosters is the verbs that change which services there are.
func rosters() []verb {
	return []verb{
		{
			name: "add-service", args: "[FILE...]", max: -1, apart: "persist ephemeral",
			flags: []flag{
				{"name", "", "N", ""}, {"exec", "", "CMD", "describe it here, without FILE"},
				{"dir", "", "D", "its working directory"},
				{"oneshot", "", "", "it does its work and ends"},
				{"env", "e", "K=V", "for its environment; may be repeated"},
				{"requires", "", "S", ""}, {"after", "", "S", ""}, {"wants", "", "S", ""},
				{"conflicts", "", "S", "dependencies; each may be repeated"},
				{"restart", "", "P", "always, on-failure (default) or never"},
				{"restart-delay", "", "MS", ""}, {"restart-delay-max", "", "MS", "first and longest pause (default: 1000, 300000)"},
				{"max-restarts", "", "N", "give up after N (default: 10; 0: never)"},
				{"persist", "", "", ""}, {"ephemeral", "", "", "for good (default), or until a reboot"},
				jsonFlag,
			},
			summary: "add services, or replace those of the same name",
			help:    "FILE is a service file, - is stdin. What is replaced is restarted when needed.\n",
			example: "zinit add-service web.toml\nzinit add-service --name job --exec 'sleep 60' --oneshot --ephemeral",
			run:     addService,
		},
		{
			name: "remove", aliases: []string{"remove-service", "delete"}, args: "NAME...", min: 1, max: -1,
			flags:   []flag{{"cascade", "", "", "even when others require it: they stop first, and fail"}},
			summary: "stop services and forget them, with their files",
			help:    "Of files only the one that describes NAME is removed.\n",
			example: "zinit remove web\nzinit remove db --cascade",
			run:     remove,
		},
		{
			name:    "delete-all",
			summary: "remove all services of class user, with their files",
			help:    "It does not ask first.\n",
			example: "zinit delete-all",
			run:     deleteAll,
		},
		{
			name: "reload", args: "[NAME]", max: 1,
			flags: []flag{
				{"dry-run", "", "", "show what would happen, do nothing"},
				jsonFlag,
			},
			summary: "take in service files that have changed",
			help: `What is new is started, what is gone is stopped, and only what has changed is
touched: dependencies, lifecycle, health and logging apply at once, the rest
when the service starts next ("restart to apply"). With NAME only that one, and
it is restarted when it must be. A set of files with a new cycle is refused as
a whole. The exit code is 1 when services fail because of the reload.
`,
			example: "zinit reload --dry-run\nzinit reload\nzinit reload web",
			run:     reload,
		},
	}
}

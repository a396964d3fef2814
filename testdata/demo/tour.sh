#!/usr/bin/env bash
# Shows zinit at work with three real daemons: tour.sh BIN, where BIN is the
# directory of zinit and zinit-server. "./build.sh demo" calls it. The server goes
# on until Ctrl-C; without a terminal, or with ZINIT_DEMO_ONCE=1, until the tour ends.
set -euo pipefail

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$bin:$PATH:/usr/sbin:/sbin
postgres=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
[[ ! -d $postgres ]] || PATH=$postgres:$PATH

bold='' plain=''
if [[ -t 1 ]]; then
	bold=$'\e[1m' plain=$'\e[0m'
fi

# caption TEXT... says what comes next.
caption() {
	[[ -n ${interrupted:-} ]] || printf '\n%s== %s%s\n' "$bold" "$*" "$plain"
}

# show COMMAND... shows a command and what it prints, unless the visitor has gone
# meanwhile.
show() {
	[[ -z ${interrupted:-} ]] || return 0
	printf '%s$ %s%s\n' "$bold" "$*" "$plain"
	"$@"
}

# free_port NUMBER prints the first port from there on that nobody listens on.
free_port() {
	local port=$1
	while (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		port=$((port + 1))
	done
	echo "$port"
}

# prepare makes a directory with the files of the demo.
prepare() {
	dir=$(mktemp -d "${TMPDIR:-/tmp}/zinit-demo.XXXXXX")
	trap 'rm -rf "$dir"' EXIT
	chmod 755 "$dir"
	mkdir "$dir"/{services,cache,db,web}
	local as=''
	if ((EUID == 0)); then
		# PostgreSQL refuses to run as root.
		as='setpriv --reuid postgres --regid postgres --init-groups '
		chown postgres: "$dir/db"
	fi
	local cache db # web is needed later
	# Two demos at once begin to look at different numbers.
	cache=$(free_port $((20000 + $$ % 10000)))
	db=$(free_port $((cache + 1)))
	web=$(free_port $((db + 1)))
	local file
	for file in "$here"/services/*.toml "$here/nginx.conf"; do
		local to=$dir/services
		[[ $file == *.toml ]] || to=$dir
		sed -e "s|@DIR@|$dir|g; s|@AS_POSTGRES@ |$as|g" \
			-e "s|@CACHE_PORT@|$cache|g; s|@DB_PORT@|$db|g; s|@WEB_PORT@|$web|g" \
			"$file" >"$to/${file##*/}"
	done
	export ZINIT_SOCKET=$dir/zinit.sock
}

# launch starts the server in this terminal's foreground, where Ctrl-C reaches it.
launch() {
	: >"$dir/server.log"
	# All that descends from it is in this directory, by which finish finds it.
	(cd "$dir" && exec zinit-server -c "$dir/services" -s "$ZINIT_SOCKET") 2>>"$dir/server.log" &
	server=$!
	trap 'interrupted=1; kill -TERM "$server" 2>/dev/null || true' INT TERM HUP
	# The socket is there before the services are.
	until [[ -S $ZINIT_SOCKET ]]; do
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.02
	done
}

# finish waits for the end of the server and tells how it was.
finish() {
	local code=0 left
	# A signal ends the wait early.
	while kill -0 "$server" 2>/dev/null; do wait "$server" || true; done
	wait "$server" || code=$?
	wait || true
	left=$(find /proc/[0-9]* -maxdepth 1 -name cwd -lname "$dir*" 2>/dev/null | cut -d/ -f3 || true)
	interrupted=
	if ((code == 0)) && [[ -z $left ]]; then
		caption "The server ended with code 0, and no process is left."
	else
		caption "The server ended with code $code; left over: ${left:-no process}"
		cat "$dir/server.log"
		code=1
	fi
	return "$code"
}

# tour shows one thing after the other; it ends early when one of them fails.
tour() {
	caption "Three daemons, and a task that makes the database: four files. One of them:"
	show cat "$dir/services/web.toml"

	caption "The server starts what is independent at once, the rest in order:"
	show zinit wait cache db web --timeout 60s || return
	show zinit list && show zinit tree || return

	caption "What a service prints is kept:"
	show zinit logs db -n 3 || return

	caption "A process is killed, and comes back:"
	show kill -9 "$(zinit status web | sed -n 's/^PID: *//p')" || return
	# On a very slow machine it may be back before anybody sees it down.
	show zinit wait web --state failed --timeout 5s && show zinit status web
	show zinit wait web --timeout 30s && show zinit status web || return

	caption "Stopping the database stops what requires it, and nothing else:"
	show zinit stop db --wait && show zinit list && show zinit why web || return

	caption "Starting web starts what it requires, too:"
	show zinit start web --wait --timeout 60s && show zinit list
}

# stay leaves the server running for the visitor.
stay() {
	caption "The server runs on until Ctrl-C. Meanwhile, in another terminal:"
	cat <<-HERE
		export ZINIT_SOCKET=$ZINIT_SOCKET PATH=$bin:\$PATH
		zinit list
		curl http://127.0.0.1:$web/
	HERE
	caption "The server's log:"
	(trap '' INT && exec tail -n +1 -s 0.2 -f --pid="$server" "$dir/server.log") &
}

prepare
if ! launch; then
	cat "$dir/server.log" >&2
	exit 1
fi
failed=0
tour || failed=1
if [[ -n ${interrupted:-} ]]; then
	failed=0
elif ((failed)); then
	show zinit list || true
	caption "That should not have happened; the server's log:"
	cat "$dir/server.log"
	show zinit shutdown || true
elif [[ ! -t 0 || ${ZINIT_DEMO_ONCE:-} == 1 ]]; then
	caption "Shutting down: what requires others goes first."
	show zinit shutdown || true
else
	stay
fi
finish || failed=1
exit "$failed"

#!/usr/bin/env bash
# Builds, tests and measures; "./build.sh help" lists the ways to call it.
set -euo pipefail
readonly called_in=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly staticcheck_version=2026.2.2 staticcheck_module=v0.8.2
# What the demo needs, as below.
readonly daemons=(
	redis-server=redis-server
	redis-cli=redis-tools
	nginx=nginx
	/usr/lib/postgresql/*/bin/postgres=postgresql
	setpriv=util-linux
)
# What tests need beyond Go: a file or command, and the Debian package that has it.
readonly needs=(
	gcc=gcc
	/usr/include/stdlib.h=libc6-dev
	file=file
	curl=curl
	/etc/ssl/certs/ca-certificates.crt=ca-certificates
	/usr/sbin/sshd=openssh-server
	ssh-keygen=openssh-client
	agetty=util-linux
	qemu-system-x86_64=qemu-system-x86
	crun=crun
	"${daemons[@]}"
)
# Where tests look for a kernel to boot.
readonly kernel_dir=${XDG_CACHE_HOME:-$HOME/.cache}/zinit-test/kernel
# -E: the program begins in applets/pid1, before the Go runtime (see entry.go there).
readonly linux_flags='-s -w -E zinit/applets/pid1.entry'
readonly plain_flags='-s -w'
# Nothing is inlined in these packages, nor are there gaps before functions: that is
# half a megabyte which makes nothing of ours quicker.
readonly rare=(compress/... crypto/... encoding/asn1 fmt github.com/... go.yaml.in/... log/...
	math/big net/... regexp/... text/... time vendor/... zinit/applets/... zinit/proxy/address
	zinit/proxy/remote zinit/proxy/rules zinit/sock/legacy zinit/sock/zinit zinit/supervise
	zinit/supervise/config/... zinit/supervise/launch zinit/supervise/machine)

help() {
	cat <<'EOF'
./build.sh            builds bin/zinit, static, and its names beside it
./build.sh demo       keeps up three real daemons and shows how; Ctrl-C ends it
./build.sh test [PACKAGE...]
                      sets up what the tests need (Debian, as root), then runs all of them
./build.sh fuzz       gives each fuzz target a minute (or ZINIT_FUZZ_TIME, as -fuzztime)
./build.sh sim [N] [SEED]
                      lives through N simulated histories (1,000,000), from SEED on (1)
./build.sh chaos [MINUTES] [SEED]
                      kills the server hundreds of times a minute (1) while services write,
                      crash, restart, stop and start, and looks whether anything is lost
./build.sh bench      compares with C loops, and with zinit 0.3.9 if that is installed
                      (docs/bench.md), then runs the Go benchmarks
./build.sh compat     runs the programs of zinit 0.3.9 against ours, both ways round;
                      builds them with cargo, if that is there and they are not
./build.sh initramfs -o FILE [--services DIR] [--add PATH[:AT]...]
                      writes an image that a kernel boots, with what was built
./build.sh system     makes a Debian system (as root) and boots it in an emulator, with
                      zinit for its init and the services of testdata/system
./build.sh dist       builds for every platform into dist/
./build.sh help       shows this

A test that is skipped fails "test", unless ZINIT_TEST_ALLOW_SKIP=1.
EOF
}

say() { printf '== %s\n' "$*"; }

die() {
	printf 'build.sh: %s\n' "$*" >&2
	exit 1
}

# find_go puts go, and what it installed, into PATH.
find_go() {
	command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin:/usr/lib/go/bin
	command -v go >/dev/null || die "there is no go: install Go 1.26 or later from https://go.dev/dl/ and put it into PATH"
	PATH=$PATH:$(go env GOPATH)/bin
}

# compile OUTPUT FLAGS builds for GOOS and GOARCH of the environment. The same
# source gives the same bytes, wherever it lies.
compile() {
	local flags=$2 package small=()
	[[ $(go env GOARCH) != amd64 ]] || flags+=' -funcalign=16'
	for package in "${rare[@]}"; do
		small+=(-gcflags "$package=-l")
	done
	CGO_ENABLED=0 go build -trimpath -buildvcs=false "${small[@]}" -ldflags "$flags" -o "$1" .
}

build() {
	local flags=$linux_flags
	[[ $(go env GOHOSTOS) == linux ]] || flags=$plain_flags
	mkdir -p bin
	compile bin/zinit "$flags" && bin/zinit --install -s bin >/dev/null || return
	say "$(bin/zinit -V): $(pwd)/bin/zinit, $(wc -c <bin/zinit) bytes"
}

dist() {
	rm -rf dist
	mkdir dist
	local arch
	for arch in amd64 arm64 arm riscv64; do
		GOOS=linux GOARCH=$arch GOARM=7 compile "dist/zinit-linux-${arch/%arm/armv7}" "$linux_flags"
	done
	GOOS=darwin GOARCH=arm64 compile dist/zinit-darwin-arm64 "$plain_flags"
	(cd dist && sha256sum zinit-* >SHA256SUMS && ls -l)
}

# --- test: setting up

is_there() {
	if [[ $1 == /* ]]; then
		compgen -G "$1" >/dev/null
	else
		PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null
	fi
}

# missing_packages NEED... prints the packages that would bring what is not there.
missing_packages() {
	local need
	for need in "$@"; do
		is_there "${need%=*}" || printf '%s\n' "${need#*=}"
	done
}

# set_up installs what is missing, if it may; what is missing then, tests skip.
set_up() {
	provide "${needs[@]}"
	compgen -G "$kernel_dir/boot/vmlinuz-*" >/dev/null || fetch_kernel || say "there is no kernel for virtual machines: see above"
	if ! has_staticcheck; then
		say "installing staticcheck $staticcheck_version"
		go install "honnef.co/go/tools/cmd/staticcheck@$staticcheck_module" || say "go install failed: see above"
	fi
}

# provide NEED... installs what is missing, if it may, and says so if it may not.
provide() {
	local missing
	mapfile -t missing < <(missing_packages "$@")
	((${#missing[@]})) || return 0
	if ((EUID == 0)) && command -v apt-get >/dev/null; then
		say "installing ${missing[*]}"
		install_packages "${missing[@]}" || say "apt-get failed: see above"
	else
		say "missing: install the packages ${missing[*]} (as root, on Debian: apt-get install ${missing[*]})"
	fi
}

# fetch_kernel unpacks Debian's kernel for virtual machines; nothing is installed.
fetch_kernel() {
	command -v apt-get >/dev/null || return
	say "fetching a kernel into $kernel_dir"
	local dir package
	dir=$(mktemp -d)
	chmod 755 "$dir" # apt-get downloads as a user of its own
	((EUID != 0)) || apt-get -q update || return
	package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -1)
	[[ -n $package ]] && (cd "$dir" && apt-get -q download "$package") &&
		dpkg-deb -x "$dir"/*.deb "$dir/kernel" &&
		mkdir -p "$(dirname "$kernel_dir")" &&
		rm -rf "$kernel_dir" && mv "$dir/kernel" "$kernel_dir"
	local code=$?
	rm -rf "$dir"
	return "$code"
}

# install_packages keeps daemons from being started by their packages: the tests
# start their own.
install_packages() {
	local policy=/usr/sbin/policy-rc.d ours=
	if [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
		ours=$policy
	fi
	local code=0
	{
		apt-get -q update &&
			DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$@"
	} || code=$?
	[[ -z $ours ]] || rm -f "$ours"
	return "$code"
}

has_staticcheck() {
	command -v staticcheck >/dev/null && [[ $(staticcheck -version) == *" $staticcheck_version "* ]]
}

# --- test: the checks

failed=()

packages=()

# check NAME COMMAND... runs one check and remembers a failure.
check() {
	local name=$1
	shift
	say "$name"
	"$@" || failed+=("$name")
}

formatted() {
	local files
	files=$(gofmt -l .)
	[[ -z $files ]] || {
		printf 'not formatted: %s\n' $files
		return 1
	}
}

vetted() { go vet ./... && go vet -tags compat,system . && GOOS=linux GOARCH=amd64 go vet ./testdata/vm; }

linted() {
	if has_staticcheck; then
		staticcheck ./...
		return
	fi
	skipped "staticcheck $staticcheck_version is not installed"
}

# skipped notes something that was not checked.
skipped() { printf '%s\n' "$*" >>"$work/skipped"; }

# binary builds, and looks at what came of it.
binary() {
	build || return
	[[ $(go env GOHOSTOS) == linux ]] || return 0
	if ! command -v file >/dev/null; then
		skipped "bin/zinit: whether it is static: there is no file command"
	elif ! file bin/zinit | grep -q 'statically linked'; then
		file bin/zinit
		return 1
	fi
	(($(wc -c <bin/zinit) < 10000000)) || {
		echo "bin/zinit has 10 MB or more"
		return 1
	}
}

# elsewhere builds for a machine of 32 bits, and the command line for macOS.
elsewhere() {
	GOOS=linux GOARCH=arm GOARM=7 compile "$work/zinit" "$linux_flags" &&
		GOOS=darwin GOARCH=arm64 compile "$work/zinit" "$plain_flags"
}

# fuzz_each TIME runs each fuzz target of the tree for that long, or for so many
# inputs (1000x), which a slow machine does not mistake for a failure when time is up.
fuzz_each() {
	local line dir target code=0
	while IFS=: read -r dir target; do
		line=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$dir" 2>&1) || {
			code=1
			printf '%s\n' "$line"
		}
		printf '%s %s\n' "$target" "${line##*$'\n'}"
	done < <(grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's|/[^/]*:func |:|' | sort -u)
	return "$code"
}

# go_tests runs every test, with the race detector if it can be built. It shows a
# line for each package and everything about tests that failed.
go_tests() {
	local race=() runs=${ZINIT_SIM_RUNS:-}
	if command -v "$(go env CC)" >/dev/null && [[ -e /usr/include/stdlib.h ]]; then
		race=(-race)
		export CGO_ENABLED=1
		runs=${runs:-500} # "simulated" lives through the rest, ten times as fast
	else
		skipped "the race detector: there is no C compiler"
	fi
	if ZINIT_SIM_RUNS=$runs go test "${race[@]}" -count=1 -timeout 40m -v "${packages[@]}" 2>&1 |
		tee "$work/log" | awk -v skips="$work/skipped" "$summary"; then
		return
	fi
	local log=${TMPDIR:-/tmp}/zinit-test.log
	cp "$work/log" "$log"
	echo "the whole output is in $log"
	return 1
}

# simulated lives through the histories that the race detector is too slow for.
simulated() {
	ZINIT_SIM_RUNS=${ZINIT_SIM_RUNS:-20000} go test ./supervise -run '^TestSimulation$' -count=1 -timeout 30m
}

# summary is the awk program that reads what go test -v says.
# shellcheck disable=SC2016
readonly summary='
function flush_open(  n) { for (n in text) { printf "%s", text[n]; delete text[n] } }
/^=== (RUN|NAME|CONT|PAUSE) / { now = $3; if ($2 == "RUN") text[now] = ""; next }
/^ *--- (PASS|FAIL|SKIP): / {
	name = $3
	if ($2 == "FAIL:") print text[name] $0
	if ($2 == "SKIP:") { why = text[name]; gsub(/[\n\t ]+/, " ", why); pending[name] = why }
	delete text[name]; now = name; ended = $2; next
}
/^(ok|FAIL|---)[ \t]/ {
	if ($1 == "FAIL") flush_open()
	for (n in pending) { print $2 " " n ":" pending[n] >> skips; delete pending[n] }
	for (n in text) delete text[n]
	now = ""; print; next
}
/^(PASS|FAIL|coverage:.*)$/ || /^\?/ { next }
now != "" && (now in text) { text[now] = text[now] $0 "\n"; next }
now != "" && ended == "SKIP:" && (now in pending) { pending[now] = pending[now] " " $0; next }
now != "" && ended == "PASS:" { next }
{ print }
'

report() {
	local code=0
	if [[ -s $work/skipped ]]; then
		say "not checked:"
		sort "$work/skipped"
		if [[ ${ZINIT_TEST_ALLOW_SKIP:-} != 1 ]]; then
			failed+=("something was skipped, and ZINIT_TEST_ALLOW_SKIP is not 1")
		fi
	fi
	if ((${#failed[@]})); then
		local IFS=';'
		printf 'FAILED: %s\n' "${failed[*]}"
		return 1
	fi
	echo "everything passed"
}

test_all() {
	packages=("${@:-./...}")
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	set_up
	check "gofmt" formatted
	check "go vet" vetted
	check "staticcheck" linted
	check "build" binary
	check "build for other platforms" elsewhere
	check "fuzz, ${ZINIT_FUZZ_TIME:-2000x} each" fuzz_each "${ZINIT_FUZZ_TIME:-2000x}"
	check "go test" go_tests
	(($#)) || check "simulation, ${ZINIT_SIM_RUNS:-20000} histories" simulated
	report
}

# --- the rest

demo() {
	build
	provide "${daemons[@]}"
	[[ -z $(missing_packages "${daemons[@]}") ]] || die "the demo needs what is missing"
	exec testdata/demo/tour.sh bin
}

sim() {
	ZINIT_SIM_RUNS=${1:-1000000} ZINIT_SIM_SEED=${2:-1} \
		go test ./supervise -run '^TestSimulation$' -count=1 -timeout 0 -v
}

chaos() {
	ZINIT_CHAOS=${1:-1}m ZINIT_CHAOS_SEED=${2:-} \
		go test -run '^TestChaos$' -count=1 -timeout 0 -v .
}

# peer finds the programs of zinit 0.3.9, or builds them; they are not on Debian.
peer() {
	local dir
	for dir in "${ZINIT_PEER:-}" ~/.cargo/bin "${XDG_CACHE_HOME:-$HOME/.cache}/zinit-0.3.9/bin"; do
		if [[ -n $dir && $("$dir/zinit-server" -V 2>/dev/null) == "zinit-server 0.3.9" ]]; then
			export ZINIT_PEER=$dir
			return
		fi
	done
	PATH=$PATH:~/.cargo/bin command -v cargo >/dev/null || return
	say "building zinit 0.3.9"
	PATH=$PATH:~/.cargo/bin cargo install --quiet zinit --version 0.3.9 --root "${dir%/bin}" || return
	export ZINIT_PEER=$dir
}

compat() {
	if ! peer; then
		say "nothing compared: zinit 0.3.9 is not there and cannot be built: install cargo, or name its directory in ZINIT_PEER"
		return
	fi
	say "zinit 0.3.9 and ours"
	go test -tags compat -run '^TestCompat' -count=1 -v .
}

# The packages of a system that has everything but an init.
readonly debian_packages=udev,kmod,iproute2,procps,e2fsprogs,util-linux,login,openssh-server,isc-dhcp-client

# debian_disk makes a disk with a Debian system, whose root needs no password.
debian_disk() {
	local disk=${kernel_dir%/*}/debian.ext4 dir
	[[ ! -e $disk ]] || return 0
	((EUID == 0)) || die "making a Debian system needs root"
	say "making a Debian system in $disk"
	dir=$(mktemp -d)
	mkdir -p "${disk%/*}"
	debootstrap --variant=minbase --include="$debian_packages" bookworm "$dir/root" http://deb.debian.org/debian >"$dir/log" &&
		chroot "$dir/root" passwd -qd root &&
		rm -rf "$dir"/root/var/cache/apt/archives/*.deb "$dir"/root/dev/* &&
		truncate -s 800M "$dir/disk" &&
		mke2fs -q -t ext4 -d "$dir/root" "$dir/disk" &&
		mv "$dir/disk" "$disk" || {
		tail -5 "$dir/log"
		die "cannot make a Debian system: see above, and $dir"
	}
	rm -rf "$dir"
}

system() {
	provide qemu-system-x86_64=qemu-system-x86 debootstrap=debootstrap mke2fs=e2fsprogs
	compgen -G "$kernel_dir/boot/vmlinuz-*" >/dev/null || fetch_kernel || die "there is no kernel to boot: see above"
	debian_disk
	go test -tags system -run '^TestSystem' -count=1 -v .
}

bench() {
	go test -count=1 -run '^$' -bench '^BenchmarkComparison$' -benchtime 1x -timeout 15m .
	go test -run '^$' -bench . -skip '^BenchmarkComparison$' -benchmem ./...
}

main() {
	local what=${1:-build}
	(($# == 0)) || shift
	case $what in
	help | -h | --help) help ;;
	build) find_go && build ;;
	dist) find_go && dist ;;
	demo) find_go && demo ;;
	initramfs) # paths are the caller's
		find_go && build || exit
		local zinit=$PWD/bin/zinit-initramfs
		cd "$called_in" && exec "$zinit" "$@"
		;;
	test) find_go && test_all "$@" ;;
	fuzz) find_go && fuzz_each "${ZINIT_FUZZ_TIME:-60s}" ;;
	sim) find_go && sim "$@" ;;
	chaos) find_go && chaos "$@" ;;
	bench) find_go && bench ;;
	compat) find_go && compat ;;
	system) find_go && system ;;
	*)
		help >&2
		exit 2
		;;
	esac
}

main "$@"

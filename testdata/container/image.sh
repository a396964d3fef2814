#!/bin/sh
# image.sh ZINIT APP DIR lays out an image in DIR: the two programs, the names of the
# first, and the services beside this script.
set -eu
zinit=$1 app=$2 dir=$3
mkdir -p "$dir/bin" "$dir/dev" "$dir/etc/zinit" "$dir/proc" "$dir/run" "$dir/sys" "$dir/var"
cp "$zinit" "$dir/bin/zinit"
cp "$app" "$dir/bin/app"
"$dir/bin/zinit" --install -s "$dir/bin" >/dev/null
cp -R "$(dirname "$0")/services" "$dir/etc/zinit/services"
ln -s ../run "$dir/var/run"

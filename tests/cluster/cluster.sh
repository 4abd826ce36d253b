#!/bin/sh
# A whole site on this machine: Puppet's authority, a coordinator, a master and two agents, each a systemd of its own on
# an address of its own, with real certificates, Docker, volumes, and Millwright installed by its Puppet module.
#
#     cluster.sh run [PROGRAMS]         brings it up and keeps it until Ctrl-C
#     cluster.sh test [PROGRAMS]        brings it up and tells the story of story.sh
#     cluster.sh shell FOLDER HOST      a shell on one of its hosts, from another terminal
#
# PROGRAMS is a folder of ready programs; without it the packages that `make packages` has made are taken, and made if
# there are none. Needs root. Nothing outlives it: all of it runs in a process namespace that ends with this script, and
# of the machine's network it takes one port on loopback, PORT (18480), for the dashboard.
#
# This part is what happens on the machine: before, and afterwards. What happens inside is in site.sh.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

fail() {
    echo "cluster: $*" >&2
    exit 1
}

usage() {
    sed -n '5,7s/^# *//p' "$0" >&2
    exit 2
}

# Control groups of a run whose processes are gone, in every hierarchy.
remove_cgroups() {
    awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | sort -u | while read -r point; do
        find "$point" -depth -type d \( -name "$1" -o -path "*/$1/*" \) -exec rmdir {} + 2>/dev/null || true
    done
}

# What runs left behind that were killed; a number used again is ours.
sweep() {
    for folder in "${TMPDIR:-/tmp}"/millwright-cluster.*; do
        [ -d "$folder" ] || continue
        owner=${folder##*.}
        [ "$owner" = $$ ] || ! kill -0 "$owner" 2>/dev/null || continue
        remove_cgroups "${folder##*/}"
        rm -rf --one-file-system "$folder"
    done
}

finish() {
    status=$?
    trap - EXIT INT TERM
    # It takes every process of every host with it, and these their mounts and networks.
    [ -z "$inside" ] || kill -KILL "$inside" 2>/dev/null || true
    wait
    remove_cgroups "${scratch##*/}"
    rm -rf --one-file-system "$scratch"
    exit "$status"
}

case ${1:-} in
run | test) ;;
shell)
    [ $# -eq 3 ] || usage
    scratch=$2
    . "$here/hosts.sh"
    on "$3" bash -l
    exit
    ;;
*) usage ;;
esac

[ "$(id -u)" = 0 ] || fail "needs root, for namespaces and mounts"
"$root/tests/lab/needs.sh" unshare setpriv ip mkfs.ext4 curl python3 systemd-socket-activate
image=$("$here/image.sh")
# So that nobody takes it for old.
exec 8<"$image"
flock --shared 8
sweep
scratch=${TMPDIR:-/tmp}/millwright-cluster.$$
mkdir -m 755 "$scratch"
inside=
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# The network that the dashboard is shown on, for those inside.
exec 9</proc/self/ns/net
image=$image scratch=$scratch setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child "$here/site.sh" "$@" &
inside=$!
wait "$inside"

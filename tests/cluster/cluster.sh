#!/bin/sh
# A whole site on this machine: Puppet's authority, a coordinator, a master and two agents, each a systemd of its own on
# an address of its own, with real certificates, Docker, volumes, and Millwright installed by its Puppet module.
#
#     cluster.sh run [PROGRAMS]         brings it up and keeps it until Ctrl-C
#     cluster.sh test [PROGRAMS]        brings it up and tells the story of story.sh
#     cluster.sh operations [PROGRAMS]  brings it up with Mesos and tells that of operations.sh
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
folders=${TMPDIR:-/tmp}/millwright-cluster

fail() {
    echo "cluster: $*" >&2
    exit 1
}

usage() {
    sed -n '5,8s/^# *//p' "$0" >&2
    exit 2
}

# What is left of a run whose processes are gone: control groups in every hierarchy, and its folder.
remove() {
    for group in $(groups "$1"); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    rm -rf --one-file-system "$1"
}

groups() {
    awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | sort -u | while read -r point; do
        find "$point" -type d -name "${1##*/}" -prune
    done
}

# What runs left behind that were killed. The number of one may be ours by now.
sweep() {
    for left in "$folders".* $(groups "${folders##*/}.*"); do
        owner=${left##*.}
        case $owner in *[!0-9]*) continue ;; esac
        [ "$owner" = $$ ] || ! kill -0 "$owner" 2>/dev/null || continue
        remove "$folders.$owner"
    done
}

finish() {
    status=$?
    trap - EXIT INT TERM
    # The first process inside: with it go all others, and with these their mounts and networks. unshare ends once
    # they are gone.
    first=$(cat "/proc/${inside:-none}/task/${inside:-none}/children" 2>/dev/null) || true
    # shellcheck disable=SC2086 # a number, or nothing
    [ -z "$first" ] || kill -KILL $first 2>/dev/null || true
    wait
    remove "$scratch"
    exit "$status"
}

case ${1:-} in
run | test | operations) ;;
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
"$root/tests/lab/needs.sh" unshare setpriv ip mkfs.ext4 curl python3 strip systemd-socket-activate
image=$("$here/image.sh")
# So that nobody takes it for old.
exec 8<"$image"
flock --shared 8
sweep
scratch=$folders.$$
mkdir -m 755 "$scratch"
inside=
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# The network that the dashboard is shown on, for those inside.
exec 9</proc/self/ns/net
# unshare complains when the process inside is killed, which is how it ends.
image=$image scratch=$scratch setpriv --pdeathsig KILL \
    unshare --mount --net --pid --fork --kill-child "$here/site.sh" "$@" 3>&2 2>/dev/null &
inside=$!
wait "$inside"

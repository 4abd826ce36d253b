#!/bin/sh
# Hosts: each a systemd in namespaces of its own with an address of its own, on a network that exists nowhere else.
# Sourced; needs $scratch, and to start hosts also $here, $image and fail.
#
# /proc is that of the machine: its numbers are what `nsenter` takes, here and in another terminal.
# shellcheck shell=sh disable=SC2154
set -eu

domain=lab.test
# Puppet's server, the coordinator, then the nodes.
hosts="puppet millwright alimesos01 alibuild01 alibuild02"
nodes="alimesos01 alibuild01 alibuild02"
network=10.77.0

# What every host knows every other by.
names() {
    echo "127.0.0.1 localhost"
    number=0
    for known in $hosts; do
        number=$((number + 1))
        echo "$network.$number $known.$domain $known"
    done
}

address() { names | awk -v host="$1" '$3 == host { print $1 }'; }

# A switch that every host is plugged into.
network_up() {
    ip link set lo up
    ip link add switch type bridge
    ip link set switch up
}

# add_disk HOST PATH SIZE: a file system of its own, mounted when the host starts.
add_disk() {
    disk=$scratch/$1/disks/$(echo "${2#/}" | tr / -).ext4
    mkdir -p "${disk%/*}"
    truncate -s "$3" "$disk"
    mkfs.ext4 -q "$disk"
}

# A control group in every hierarchy, so that the host's systemd and Docker have a root to work below.
enter_cgroup() {
    while IFS=: read -r _ controllers path; do
        point=$(awk -v wanted="$controllers" '{
            split($0, half, " - "); split(half[2], right, " ")
            known = "," right[3] ","
            if (right[1] == "cgroup2" ? wanted == "" : right[1] == "cgroup" && wanted != "" && index(known, "," wanted ",")) {
                print $5
                exit
            }
        }' /proc/self/mountinfo)
        [ -n "$point" ] || continue
        above=$point${path%/}
        all=$above/${scratch##*/}
        mkdir -p "$all/$1"
        case $controllers in
        *cpuset*)
            # One without processors and memory takes nobody in.
            for file in cpuset.cpus cpuset.mems; do
                cat "$above/$file" >"$all/$file"
                cat "$above/$file" >"$all/$1/$file"
            done
            ;;
        esac
        # In the unified hierarchy a group with a controller switched on takes no process; those without are enough.
        echo 0 >"$all/$1/cgroup.procs"
    done </proc/self/cgroup
}

# start_host HOST: until its systemd has started everything.
start_host() {
    (
        enter_cgroup "$1"
        while boot "$1"; do :; done
    ) &
    until_true 120 "$1 has booted" has_booted "$1"
}

# One boot of a host, as long as it lasts: true if it is to boot again, which its kernel tells by the signal SIGHUP.
boot() {
    folder=$scratch/$1
    rm -f "$folder/pid"
    # Its disks have been let go by the boot before.
    for disk in "$folder"/disks/*.ext4; do
        until_true 60 "nobody has $disk" is_free "$disk"
    done
    # In a shell of its own, which has a word to say of the signal.
    (
        unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child \
            "$here/boot.sh" "$1" "$folder" "$image" "$scratch/site" </dev/null || exit
    ) >>"$folder/console" 2>&1 &
    until_true 30 "$1 begins to boot" test -s "$folder/pid"
    plug_in "$1"
    status=0
    wait $! || status=$?
    rm -f "$folder/pid"
    [ "$status" -eq 129 ]
}

is_free() { [ -z "$(losetup --associated "$1")" ]; }

# How often a host has booted.
boots_of() { wc -l <"$scratch/$1/boots"; }

# A wire to the switch.
plug_in() {
    pid=$(cat "$scratch/$1/pid")
    ip link add "$1" type veth peer name eth0 netns "/proc/$pid/ns/net"
    ip link set "$1" master switch up
    nsenter --net="/proc/$pid/ns/net" sh -e -c "
        ip link set lo up
        ip address add $(address "$1")/24 dev eth0
        ip link set eth0 up"
}

has_booted() { [ "$(on "$1" systemctl is-system-running 2>/dev/null)" = running ]; }

# on HOST COMMAND...: as root there.
on() {
    # Not --all: that compares numbers of this namespace with those of /proc.
    nsenter --target "$(cat "$scratch/$1/pid")" --mount --uts --ipc --net --pid --cgroup \
        env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 TERM="${TERM:-dumb}" sh -c 'shift; exec "$@"' - "$@"
}

#!/bin/bash
# Ends what up.sh started, by the process ids that it noted, and takes its state away. Packages stay.
set -u

lab=${LAB:-${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}/openstack}
run=$lab/run

# A number may be somebody else's by now: ours have the lab in their environment or in their command line.
is_ours() {
    { tr '\0' '\n' <"/proc/$1/environ" | grep -qx "LAB=$lab" || tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF "$lab/"; } 2>/dev/null
}
runs() { [ -d "/proc/$1" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
with_children() {
    echo "$1"
    for child in $(pgrep -P "$1"); do with_children "$child"; done
}

# SECONDS NAME…: asked to end, and killed when they have not after so long
end() {
    local patience=$1 pids=() name pid
    shift
    for name in "$@"; do
        [ -s "$run/$name.pid" ] || continue
        pid=$(cat "$run/$name.pid")
        if is_ours "$pid"; then mapfile -t -O ${#pids[@]} pids < <(with_children "$pid"); fi
        rm -f "$run/$name.pid"
    done
    [ ${#pids[@]} -gt 0 ] || return
    # One that a story has halted hears nothing else.
    kill -CONT "${pids[@]}" 2>/dev/null
    kill -TERM "${pids[@]}" 2>/dev/null
    for _ in $(seq $((patience * 10))); do
        left=
        for pid in "${pids[@]}"; do if runs "$pid"; then left=yes; fi; done
        [ -n "$left" ] || return
        sleep 0.1
    done
    for pid in "${pids[@]}"; do if runs "$pid" && is_ours "$pid"; then kill -KILL "$pid"; fi; done
}

end 3 nova-api cinder-api glance neutron placement keystone nova-scheduler nova-conductor cinder-volume \
    cinder-scheduler nova-compute-a nova-compute-b nova-compute-c
end 10 rabbitmq
end 30 mariadbd
end 2 epmd
rm -rf "$lab/state" "$lab/etc" "$lab/run" "$lab/python" "$lab/clouds.yaml"
[ "${1:-}" = --keep-logs ] || rm -rf "$lab/log"

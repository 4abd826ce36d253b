#!/bin/sh
# Runs a program that must not outlive whoever started it.
#
#     leash.sh PROGRAM ARGUMENT…
#
# It becomes the program, so the process id stays the same, and leaves a watcher beside it that holds on to
# our standard input. When the other end of that pipe closes, because the test is over, was interrupted or
# was killed, the watcher ends the program. The program itself reads from /dev/null.
#
# With LEASH_AFTER=FILE, which holds a process id, it waits for the end of that process first: one that needs
# the program in order to end well.
set -u
leashed=$$
after=${LEASH_AFTER:-}
unset LEASH_AFTER
exec 3<&0
(
    cat <&3
    # The program is the watcher's parent for as long as it lives; afterwards its number may be another's.
    read -r _ _ _ parent _ </proc/self/stat
    [ "$parent" = "$leashed" ] || exit
    if [ -n "$after" ] && other=$(cat "$after"); then
        for _ in $(seq 60); do
            kill -0 "$other" || break
            sleep 0.2
        done
    fi
    # A stopped process hears nothing but CONT and KILL.
    kill -TERM "$leashed"
    kill -CONT "$leashed"
    for _ in $(seq 50); do
        kill -0 "$leashed" || exit
        sleep 0.2
    done
    kill -KILL "$leashed"
) </dev/null >/dev/null 2>&1 &
exec 3<&- </dev/null
exec "$@"

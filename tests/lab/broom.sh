#!/bin/sh
# Takes away the folders of a test process that could not do so itself, because it was interrupted or killed.
#
# Reads names of folders, one a line, until whoever writes them is gone. A folder that is still there then
# may be in use by programs that are being ended by leash.sh, and needs them to end well, so it waits for these.
set -u
folders=$(cat)
for folder in $folders; do
    [ -d "$folder" ] || continue
    for _ in $(seq 150); do
        # The name comes by standard input: as an argument it would find itself.
        printf '%s\n' "$folder" | grep -qsF -f - /proc/[0-9]*/cmdline || break
        sleep 0.2
    done
    # Later mounts may sit on earlier ones.
    for point in $(awk -v folder="$folder/" 'index($2, folder) == 1 { points = $2 " " points } END { print points }' \
        /proc/self/mounts); do
        umount -l "$point" || continue 2
    done
    rm -rf "$folder"
done

#!/bin/sh
# Prints the path of a tarball with a minimal Debian of this machine's release; makes it, as root, the first time.
set -eu

cache=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}
. /etc/os-release
tarball=$cache/minbase-$VERSION_CODENAME.tar
if [ ! -s "$tarball" ]; then
    echo "lab: making a minimal Debian $VERSION_CODENAME, once" >&2
    "$(dirname "$0")/needs.sh" debootstrap >&2
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/minbase.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM
    mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([a-z]*:[^ ]*\).*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
    debootstrap --variant=minbase "$VERSION_CODENAME" "$work/root" ${mirror:+"$mirror"} >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        echo "make a minimal Debian: debootstrap ended with an error" >&2
        exit 1
    }
    rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/*
    tar -C "$work/root" -cf "$work/tarball" .
    mv "$work/tarball" "$tarball"
fi
echo "$tarball"

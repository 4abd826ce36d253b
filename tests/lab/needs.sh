#!/bin/sh
# Makes sure that plain tools are there: a fresh Debian with Rust alone has no linker.
set -eu

for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
    cc | make | objdump | strip) packages=build-essential ;;
    ip) packages=iproute2 ;;
    mkfs.ext4) packages=e2fsprogs ;;
    setpriv | unshare) packages=util-linux ;;
    systemd-socket-activate) packages=systemd ;;
    dpkg-deb) packages=dpkg ;;
    rpmbuild) packages=rpm ;;
    pip3) packages="python3-pip ca-certificates" ;;
    *) packages=$tool ;;
    esac
    if [ "$(id -u)" != 0 ]; then
        echo "needs $tool: install $packages (as root: apt-get install $packages)" >&2
        exit 1
    fi
    echo "lab: installing $packages for $tool"
    # Unquoted: one word per package.
    "$(dirname "$0")/apt.sh" $packages >/dev/null
done

#!/bin/sh
# Makes sure that plain tools are there: a fresh Debian with Rust alone has no linker.
set -eu

for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case $tool in
    cc | make | objdump) packages=build-essential ;;
    pip3) packages="python3-pip ca-certificates" ;;
    *) packages=$tool ;;
    esac
    if [ "$(id -u)" != 0 ]; then
        echo "needs $tool: install $packages (as root: apt-get install $packages)" >&2
        exit 1
    fi
    echo "lab: installing $packages for $tool"
    apt-get update -qq
    # Unquoted: one word per package.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
done

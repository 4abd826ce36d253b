#!/bin/sh
# Makes sure that plain build tools are there: a fresh Debian with Rust alone has no linker.
set -eu

for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    if [ "$(id -u)" != 0 ]; then
        echo "needs $tool: install build-essential (as root: apt-get install build-essential)" >&2
        exit 1
    fi
    echo "lab: installing build-essential for $tool"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends build-essential >/dev/null
done

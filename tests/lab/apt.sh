#!/bin/sh
# Installs Debian packages, as root.
#
# Waits for others who do the same, up to ten minutes each: a fresh machine is often busy updating itself.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

tries=120
until said=$(apt-get -q update 2>&1); do
    case $said in
    *"Could not get lock"*) ;;
    # One source that cannot be reached need not be the one that has the packages.
    *) break ;;
    esac
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || break
    sleep 5
done
echo "$said"
apt-get -q -y -o DPkg::Lock::Timeout=600 --no-install-recommends install "$@" || {
    echo "$said" >&2
    exit 1
}

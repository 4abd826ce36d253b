#!/bin/bash
# Installs what the lab of OpenStack is made of: Debian's own packages of the release "Zed", as root.
#
# Packages that come with users, sudoers and services are not installed: the pipeline files in them are all that is
# needed, so those are unpacked into $LAB.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
lab=${LAB:?}
packages="mariadb-server-core mariadb-client-core rabbitmq-server python3-keystone python3-nova python3-placement
  python3-glance python3-cinder python3-neutron python3-openstackclient python3-pymysql uwsgi-core uwsgi-plugin-python3 curl"
unpacked="nova-common glance-common cinder-common neutron-common"

say() { echo "openstack: $*" >&2; }

missing=()
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" != 0 ]; then
        say "needs ${missing[*]}; install them as root"
        exit 1
    fi
    say "installing ${missing[*]}"
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # No service of these packages may start: the lab starts its own.
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    nice -n 10 "$here/../lab/apt.sh" "${missing[@]}" >"$lab/apt.log" 2>&1 </dev/null || {
        tail -n 20 "$lab/apt.log" >&2
        exit 1
    }
fi

if [ ! -e "$lab/paste/resource_filters.json" ]; then
    say "unpacking the pipelines of the services"
    work=$(mktemp -d "$lab/unpack.XXXXXX")
    # shellcheck disable=SC2086
    (cd "$work" && apt-get -q -o APT::Sandbox::User=root download $unpacked) >>"$lab/apt.log" 2>&1
    mkdir -p "$lab/paste"
    for package in $unpacked; do
        dpkg-deb -x "$work/$package"_*.deb "$work/$package"
        cp "$(find "$work/$package/usr/share" -maxdepth 2 -name '*api-paste.ini')" "$lab/paste/$package.ini"
    done
    cp "$work/cinder-common/etc/cinder/resource_filters.json" "$lab/paste/"
    rm -rf "$work"
fi

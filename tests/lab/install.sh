#!/bin/sh
# Installs and builds everything that the system tests, the benches and the demo start for real:
# Docker, a registry, Mesos, ZooKeeper, Puppet, file system tools, Chromium and promtool.
#
# Idempotent, and quick when nothing is missing. As root it installs Debian packages; without root
# it says what it had to leave out and the tests that need it say "skipped: needs …".
# What is not a Debian package is kept outside the tree, in ${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}
# One that stops offers by a call, one that stops them by a file.
mesos_versions="1.11.0 1.4.3"

# What each package is for:
#   docker.io iptables           the engine under test; dockerd and containerd
#   docker-registry              a registry on loopback to pull from
#   busybox-static               the whole content of the image that test containers run
#   zookeeper                    the jar (its service is another package) and a Java to run it
#   puppet-agent                 `puppet apply`
#   e2fsprogs xfsprogs           file systems on loop devices
#   chromium chromium-driver     the dashboard in a real browser, and a font to read it with; the headless shell
#   chromium-headless-shell      is the same engine without a window, which would be at least 500 pixels wide
#   libsvn1 libapr1 libsasl2-2   what the Mesos library links to and Debian still has; the older one also to
#   libevent-…                   libevent, of which Debian has the next version
#   apache2-bin                  the site's front end, which has people sign in; without its service
#   openssl                      plays the authority of Puppet
#   g++ binutils python3 python3-pip curl ca-certificates    to fetch that library and give it a main()
packages="docker.io iptables docker-registry busybox-static zookeeper puppet-agent e2fsprogs xfsprogs mount
  chromium chromium-driver chromium-headless-shell fonts-dejavu-core apache2-bin libsvn1 libapr1 libsasl2-2
  libevent-2.1-7 libevent-openssl-2.1-7 libevent-pthreads-2.1-7 g++ binutils python3-pip curl ca-certificates openssl tar util-linux"

say() { echo "lab: $*"; }

fail() {
    echo "lab: $*" >&2
    exit 1
}

missing_packages() {
    # dpkg-query fails for names it has never heard of, which is an answer too.
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null |
        awk '$2 == "installed" { print $1 }') || true
    for package in $packages; do
        case "
$installed
" in
        *"
$package
"*) ;;
        *) echo "$package" ;;
        esac
    done
}

# Packages bring services of the same name. The tests start their own copies on their own ports and
# end them by process id, so none may be started here: Debian asks policy-rc.d first.
install_packages() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        ours=yes
    fi
    say "installing: $*"
    log=$cache/apt.log
    "$here/apt.sh" "$@" >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        fail "install $*: apt-get ended with an error, its whole log is $log"
    }
    if [ "${ours:-}" = yes ]; then
        rm -f "$policy"
        trap - EXIT INT TERM
    fi
}

packages_present() {
    if ! command -v dpkg-query >/dev/null; then
        say "skipped: needs Debian for $(echo $packages)"
        return
    fi
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        say "skipped: needs root to install" $missing
        return
    fi
    # Unquoted: one word per package.
    install_packages $missing
}

# The Python package mesos.scheduler is a tarball without setup.py around one shared object that holds
# all of Mesos. pip finds it and prints its address, then refuses to save it; so we take the address.
fetch_mesos() {
    mesos_version=$1
    library=$cache/mesos-$mesos_version/_scheduler.so
    [ ! -s "$library" ] || return 0
    say "fetching Mesos $mesos_version"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    requirement="mesos.scheduler===$mesos_version.linux-x86_64"
    pip=/usr/bin/pip3
    [ -x "$pip" ] || pip=pip3
    "$pip" download -v --no-deps --no-cache-dir --disable-pip-version-check --dest "$work" "$requirement" \
        >"$work/pip.log" 2>&1 || true
    address=$(grep -o 'http[^ ]*/mesos\.scheduler-'"$mesos_version"'[^ #]*\.tar\.gz' "$work/pip.log" | head -n 1)
    [ -n "$address" ] || {
        tail -n 20 "$work/pip.log" >&2
        rm -rf "$work"
        fail "find $requirement: pip printed no address for it"
    }
    curl -fsSL --retry 3 -o "$work/package.tar.gz" "$address" || fail "download $requirement: curl failed"
    tar --no-same-owner -xzf "$work/package.tar.gz" -C "$work"
    found=$(find "$work" -name _scheduler.so | head -n 1)
    [ -n "$found" ] || fail "unpack $requirement: there is no _scheduler.so in it"
    mkdir -p "$(dirname "$library")"
    mv "$found" "$library"
    rm -rf "$work"
}

# $1 is made from the files after it; true when it has to be made again.
stale() {
    target=$1
    shift
    [ -e "$target" ] || return 0
    for source in "$@"; do
        [ ! "$source" -nt "$target" ] || return 0
    done
    return 1
}

build_mesos() {
    mesos_version=$1
    home=$cache/mesos-$mesos_version
    if stale "$home/shims/done" "$here/mesos_shims.py" "$home/_scheduler.so"; then
        say "building stand-ins for the libraries Mesos links to and Debian no longer has"
        python3 "$here/mesos_shims.py" "$home/_scheduler.so" "$home/shims"
        touch "$home/shims/done"
    fi
    if stale "$home/mesos-host" "$here/mesos_host.cpp" "$here/install.sh"; then
        say "building the Mesos host"
        # An old-style rpath also holds for what the Mesos library loads, and unlike LD_LIBRARY_PATH it is not
        # inherited by the programs that Mesos starts, which want the real libraries.
        g++ -std=c++17 -O1 -Wall -rdynamic -o "$home/mesos-host.new" "$here/mesos_host.cpp" -ldl \
            -Wl,--disable-new-dtags,-rpath,"$home/shims"
        mv "$home/mesos-host.new" "$home/mesos-host"
    fi
}

download_prometheus() {
    (cd "$work" && apt-get -q download prometheus) >"$work/apt.log" 2>&1
}

# Checks alert rules and metrics. Its package brings a whole Prometheus with it, so only this program is taken out.
fetch_promtool() {
    [ ! -x "$cache/promtool" ] || return 0
    if found=$(command -v promtool); then
        ln -sf "$found" "$cache/promtool"
        return
    fi
    say "fetching promtool"
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    # Lists of packages may be missing, or older than what the mirror has.
    if ! download_prometheus && ! { [ "$(id -u)" -eq 0 ] && apt-get -q update >"$work/apt.log" 2>&1 && download_prometheus; }; then
        tail -n 20 "$work/apt.log" >&2
        rm -rf "$work"
        [ "$(id -u)" -eq 0 ] || {
            say "skipped: needs root to fetch promtool"
            return
        }
        fail "download the Debian package prometheus: apt-get ended with an error"
    fi
    dpkg-deb --extract "$work"/prometheus_*.deb "$work/root"
    mv "$work/root/usr/bin/promtool" "$cache/promtool"
    rm -rf "$work"
}

# The smallest root file system that can run a command: one static binary under the names of its applets.
build_image() {
    image=$cache/busybox.tar
    stale "$image" "$here/install.sh" /bin/busybox || return 0
    say "building the image that test containers run"
    root=$(mktemp -d "$cache/image.XXXXXX")
    mkdir -p "$root/bin" "$root/tmp" "$root/etc" "$root/mnt"
    cp /bin/busybox "$root/bin/busybox"
    for applet in $(/bin/busybox --list); do
        [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
    done
    tar -C "$root" --owner=0 --group=0 --numeric-owner -cf "$image.new" .
    mv "$image.new" "$image"
    rm -rf "$root"
}

mkdir -p "$cache"
# Two runs at once would build into the same folder.
exec 9>"$cache/lock"
command -v flock >/dev/null && flock 9

packages_present
if command -v g++ >/dev/null && command -v readelf >/dev/null && command -v curl >/dev/null; then
    for version in $mesos_versions; do
        fetch_mesos "$version"
        build_mesos "$version"
    done
else
    say "skipped: needs g++, binutils and curl for Mesos"
fi
if [ -x /bin/busybox ] || [ -L /bin/busybox ]; then
    build_image
else
    say "skipped: needs busybox-static for the image of test containers"
fi
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    fetch_promtool
else
    say "skipped: needs Debian for promtool"
fi
say "ready, with $cache"

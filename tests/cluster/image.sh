#!/bin/sh
# Prints the folder that every host of the cluster starts from: a Debian with systemd, Docker, ZooKeeper and Puppet, from
# Debian's packages alone. Makes it, as root, the first time; hosts write above it, never into it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}

# What each package is for:
#   systemd-sysv dbus       the first process of a host
#   iproute2 iputils-ping   its address
#   puppetserver            the authority that signs every host, with its own Java
#   puppet-agent            `puppet apply`, `puppet ssl`
#   docker.io zookeeperd    what a node runs
#   libsvn1 libapr1 libsasl2-2    what the Mesos library links to
#   busybox-static          the whole content of the image that containers run
#   curl openssl            what the manual tells an operator to type
packages="systemd-sysv dbus iproute2 iputils-ping puppetserver puppet-agent docker.io zookeeperd busybox-static ca-certificates
  libsvn1 libapr1 libsasl2-2 curl openssl procps less"

. /etc/os-release
# Another script makes another image.
version=$(cat "$0" "$here/../lab/minbase.sh" | sha256sum | cut -c 1-12)
image=$cache/cluster-$VERSION_CODENAME-$version
mkdir -p "$cache"
exec 9>"$cache/lock-cluster"
flock 9
if [ ! -d "$image" ]; then
    # Those of older scripts. Who uses one holds its lock.
    for old in "$cache/cluster-$VERSION_CODENAME"-*; do
        [ ! -d "$old" ] || flock --nonblock "$old" rm -rf --one-file-system "$old" || true
    done
    tarball=$("$here/../lab/minbase.sh")
    echo "cluster: making the disk that hosts start from, once" >&2
    mkdir -p "$image.new"
    trap 'rm -rf --one-file-system "$image.new"' EXIT
    trap 'exit 130' INT TERM
    tar -C "$image.new" -xf "$tarball" --exclude='./dev/*'
    # Services must not start while the image is made, and later only where they are wanted.
    printf '#!/bin/sh\nexit 101\n' >"$image.new/usr/sbin/policy-rc.d"
    chmod 755 "$image.new/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$image.new/etc/resolv.conf"
    # Mounts of its own: they go when it ends.
    # shellcheck disable=SC2016 # expanded inside
    packages=$packages root=$image.new unshare --mount sh -c '
        set -eu
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        inside() {
            chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
        }
        inside apt-get -q update
        inside apt-get -q -y --no-install-recommends install $packages
        inside systemctl disable docker.service docker.socket containerd.service zookeeper.service
        # There is no terminal.
        inside systemctl mask console-getty.service
        inside apt-get -q clean
    ' >"$cache/cluster.log" 2>&1 || {
        tail -n 20 "$cache/cluster.log" >&2
        echo "cluster: install the packages of the image: it ended with an error, the log is $cache/cluster.log" >&2
        exit 1
    }
    rm -rf "$image.new/usr/sbin/policy-rc.d" "$image.new/etc/resolv.conf" "$image.new"/var/lib/apt/lists/*
    # Every host is its own machine, with its own name.
    rm -f "$image.new/etc/hostname"
    : >"$image.new/etc/machine-id"
    mv "$image.new" "$image"
fi
echo "$image"

#!/bin/sh
# Prints the folder with what the virtual machine starts from: `root`, a Debian with systemd and logind, and `vmlinuz`, the
# kernel of Debian's cloud images, whose disk driver and file system need no initial RAM disk. Makes it, as root, the first
# time; runs copy it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}

# What each package is for:
#   systemd-sysv dbus   the first process, and logind, which reboots
#   udev kmod           devices, and the network's driver, which is a module
#   iproute2            looking at it by hand
packages="systemd-sysv dbus udev kmod iproute2"
kernel=linux-image-cloud-amd64

. /etc/os-release
# Another script makes another image.
version=$(cat "$0" "$here/../lab/minbase.sh" | sha256sum | cut -c 1-12)
image=$cache/vm-$VERSION_CODENAME-$version
mkdir -p "$cache"
exec 9>"$cache/lock-vm"
flock 9
if [ ! -d "$image" ]; then
    # Those of older scripts. Who uses one holds its lock.
    for old in "$cache/vm-$VERSION_CODENAME"-*; do
        [ ! -d "$old" ] || flock --nonblock "$old" rm -rf --one-file-system "$old" || true
    done
    tarball=$("$here/../lab/minbase.sh")
    echo "vm: making the disk that the machine starts from, once" >&2
    trap 'rm -rf --one-file-system "$image.new"' EXIT
    trap 'exit 130' INT TERM
    rm -rf --one-file-system "$image.new"
    mkdir -p "$image.new/root"
    tar -C "$image.new/root" -xf "$tarball" --exclude='./dev/*'
    # Services must not start while the image is made.
    printf '#!/bin/sh\nexit 101\n' >"$image.new/root/usr/sbin/policy-rc.d"
    chmod 755 "$image.new/root/usr/sbin/policy-rc.d"
    cp /etc/resolv.conf "$image.new/root/etc/resolv.conf"
    # Mounts of its own: they go when it ends.
    # shellcheck disable=SC2016 # expanded inside
    packages=$packages kernel=$kernel root=$image.new/root unshare --mount sh -c '
        set -eu
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        inside() {
            chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"
        }
        inside apt-get -q update
        inside apt-get -q -y --no-install-recommends install $packages
        # Unpacked, not installed: that would make an initial RAM disk, which is not needed. /lib is a link and stays one.
        name=$(inside apt-cache depends "$kernel" | sed -n "s/^ *Depends: \(linux-image-[0-9].*\)/\1/p" | head -n 1)
        inside sh -c "cd /tmp && apt-get -q -o APT::Sandbox::User=root download $name"
        inside sh -c "dpkg-deb --fsys-tarfile /tmp/$name*.deb | tar -C / --keep-directory-symlink -xf - && rm /tmp/$name*.deb"
        inside depmod "${name#linux-image-}"
        mv "$root/boot/vmlinuz-${name#linux-image-}" "$root/../vmlinuz"
        inside apt-get -q clean
    ' >"$cache/vm.log" 2>&1 || {
        tail -n 20 "$cache/vm.log" >&2
        echo "vm: install the packages of the image: it ended with an error, the log is $cache/vm.log" >&2
        exit 1
    }
    cd "$image.new/root"
    rm -rf usr/sbin/policy-rc.d etc/resolv.conf var/lib/apt/lists/* boot/*
    rm -f etc/hostname
    # Made at the first boot, and kept.
    : >etc/machine-id
    # Of the kernel's modules only those it needs.
    find lib/modules -name '*.ko' ! -path '*/virtio/*' ! -name 'virtio_net.ko' ! -name '*failover.ko' -delete
    chroot . depmod "$(ls lib/modules)"
    cd /
    mv "$image.new" "$image"
fi
echo "$image"

#!/bin/sh
# Becomes the first process of a host: lays out its file systems and lets systemd take over.
#
#     boot.sh NAME FOLDER IMAGE SITE     called by hosts.sh in namespaces of its own
#
# FOLDER gets what the host writes. Disks of its own, where there are files for them: FOLDER/disks/PATH.ext4 is mounted
# at /PATH, with "-" for further slashes. SITE is seen at /srv/site, read-only.
set -eu

name=$1 folder=$2 image=$3 site=$4
root=$folder/root

# The number that the caller's /proc knows this process by.
read -r pid _ </proc/self/stat

mkdir -p "$folder/above" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/above,workdir=$folder/work" "$root"
echo "$name" >"$root/etc/hostname"
hostname "$name"

mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mknod -m 600 "$root/dev/console" c 5 1

for disk in "$folder"/disks/*.ext4; do
    [ -e "$disk" ] || continue
    point=$root/$(basename "$disk" .ext4 | tr - /)
    mkdir -p "$point"
    mount -o loop "$disk" "$point"
done
mkdir -p "$root/srv/site"
mount --bind -o ro "$site" "$root/srv/site"

# Its own boot, not that of the machine it runs on.
cat /proc/sys/kernel/random/uuid >"$folder/boot_id"
cat "$folder/boot_id" >>"$folder/boots"
mount --bind -o ro "$folder/boot_id" "$root/proc/sys/kernel/random/boot_id"

echo "$pid" >"$folder/pid.new"
mv "$folder/pid.new" "$folder/pid"
cd "$root"
pivot_root . .
umount -l .
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /sbin/init "systemd.unified_cgroup_hierarchy=$([ -e /sys/fs/cgroup/cgroup.controllers ] && echo 1 || echo 0)"

#!/bin/sh
# The virtual machine: what is on its disk, how it is started, and a person at its keyboard. Sourced by vm.sh.
# shellcheck shell=sh disable=SC2154
set -eu

# Makes $scratch/disk.img: the image, our agent with its unit as packages install it, and the road to the coordinator.
make_disk() {
    disk=$scratch/root
    cp -a "$image/root" "$disk"
    install -m 755 "$programs/millwright-agent" "$disk/usr/bin/millwright-agent"
    strip "$disk/usr/bin/millwright-agent"
    cp -r "$root/packaging/agent/usr/lib/systemd/system/." "$disk/lib/systemd/system/"
    mkdir -p "$disk/etc/millwright" "$disk/var/lib/millwright-agent"
    # No Mesos or Puppet is in it: what is proven here is the boot. Of Docker there is a stand-in that runs nothing, and
    # says so: of a node on which nobody can tell what runs, nothing is ever proven empty.
    cat >"$disk/etc/millwright/agent.toml" <<END
[node]
name = "$node"
class = "agent-no-volume"
[coordinator]
url = "http://127.0.0.1:8482"
[checks.docker]
warn_used_percent = 100
crit_used_percent = 100
[prepull]
images = []
[checks.mesos_agent]
enabled = false
[checks.puppet]
enabled = false
END
    echo "$node" >"$disk/etc/hostname"
    printf 'virtio_pci\nvirtio_net\n' >"$disk/etc/modules-load.d/vm.conf"
    # Without a gateway it reaches the host it runs on, and nothing else.
    write_file "$disk/etc/systemd/network/lan.network" '[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no'
    # Without TLS an agent speaks to loopback only; this carries it to the loopback of the host.
    write_file "$disk/etc/systemd/system/road.socket" '[Socket]
ListenStream=127.0.0.1:8482'
    write_file "$disk/etc/systemd/system/road.service" "[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 10.0.2.2:$agents_port"
    write_file "$disk/etc/systemd/system/docker.socket" '[Socket]
ListenStream=/run/docker.sock
Accept=yes'
    write_file "$disk/etc/systemd/system/docker@.service" '[Service]
ExecStart=/bin/bash /usr/local/lib/docker-stand-in
StandardInput=socket
StandardOutput=socket'
    mkdir -p "$disk/usr/local/lib"
    cat >"$disk/usr/local/lib/docker-stand-in" <<'END'
read -r _ path _
while read -r line && [ "${line%$'\r'}" ]; do :; done
case $path in
*/_ping) body=OK ;;
*/info) body='{"Driver":"overlay2","ServerVersion":"1.13.1","DockerRootDir":"/"}' ;;
*) body='[]' ;;
esac
printf 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' ${#body} "$body"
END
    # The second serial line: what a person types there is done.
    write_file "$disk/etc/systemd/system/keyboard.service" '[Service]
ExecStart=/bin/bash
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS1
KillSignal=SIGHUP
Restart=always'
    enable multi-user.target.wants/keyboard.service /etc/systemd/system/keyboard.service
    enable multi-user.target.wants/millwright-agent.service /lib/systemd/system/millwright-agent.service
    enable multi-user.target.wants/systemd-networkd.service /lib/systemd/system/systemd-networkd.service
    enable sockets.target.wants/road.socket /etc/systemd/system/road.socket
    enable sockets.target.wants/docker.socket /etc/systemd/system/docker.socket
    truncate -s 1G "$scratch/disk.img"
    mkfs.ext4 -q -d "$disk" "$scratch/disk.img"
    rm -rf --one-file-system "$disk"
}

write_file() { mkdir -p "${1%/*}" && printf '%s\n' "$2" >"$1"; }

enable() {
    mkdir -p "$disk/etc/systemd/system/${1%/*}"
    ln -sf "$2" "$disk/etc/systemd/system/$1"
}

# Starts it: emulated, so that it needs nothing of this machine but time. It ends with this script.
start_machine() {
    mkfifo "$scratch/keyboard.in" "$scratch/keyboard.out"
    cat "$scratch/keyboard.out" >"$scratch/said" &
    listener=$!
    setpriv --pdeathsig KILL qemu-system-x86_64 -nodefaults -display none -accel tcg -m 512 \
        -uuid 6f1c2d3e-0000-4000-8000-00000000000a -kernel "$image/vmlinuz" \
        -append "root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0 quiet" \
        -drive "file=$scratch/disk.img,format=raw,if=none,id=disk" -device nvme,drive=disk,serial=root \
        -netdev user,id=lan -device virtio-net-pci,netdev=lan,romfile= \
        -serial "file:$scratch/console.log" -chardev "pipe,id=keyboard,path=$scratch/keyboard" -serial chardev:keyboard \
        >"$scratch/qemu.log" 2>&1 9>&- &
    machine=$!
}

# A person at the keyboard types a line.
type_line() { echo "$*" >"$scratch/keyboard.in"; }

# What the machine itself says of its boot, on its serial line: the kernel's word, not the agent's.
own_boot_id() {
    : >"$scratch/said"
    type_line 'echo "boot=$(cat /proc/sys/kernel/random/boot_id)="'
    until_true 60 "the machine says its boot id on the serial line" has_said
    sed -n 's/.*boot=\([0-9a-f-]\{36\}\)=.*/\1/p' "$scratch/said" | tail -n 1
}

has_said() { grep -q 'boot=[0-9a-f-]\{36\}=' "$scratch/said"; }

#!/bin/sh
# What the packages' scripts have in common; it stands at the beginning of each. No script ever stops, starts or asks
# anything but our own unit: tasks, containers and Docker never notice.
set -eu

package=@PACKAGE@
unit=$package.service
enabled=/etc/systemd/system/multi-user.target.wants/$unit

# Not in an image that is being made, where there is nobody to talk to.
systemd_runs() { [ -d /run/systemd/system ]; }

# The coordinator is nobody's but its own. The user stays when the package goes: files of his may be left.
make_user() {
    [ "$package" = millwright-coordinator ] || return 0
    getent group millwright >/dev/null || groupadd --system millwright
    getent passwd millwright >/dev/null || useradd --system --gid millwright --home-dir /var/lib/millwright \
        --no-create-home --shell /usr/sbin/nologin --comment "Millwright coordinator" millwright
}

# Enabled and not started: first it is told who it is, by Puppet or by a person. The same as `systemctl enable`,
# and works without systemctl too.
enable_unit() {
    mkdir -p "${enabled%/*}"
    ln -sf "/usr/lib/systemd/system/$unit" "$enabled"
    ! systemd_runs || systemctl daemon-reload
}

# As the service would read it: what root may read, the coordinator may not.
check_configuration() {
    case $package in
    millwright-coordinator) runuser -u millwright -- "/usr/bin/$package" --check-config ;;
    *) "/usr/bin/$package" --check-config ;;
    esac
}

# The new program takes over, if the old one runs and the new one finds nothing wrong.
restart_if_running() {
    systemd_runs || return 0
    systemctl daemon-reload
    systemctl is-active --quiet "$unit" || return 0
    if ! why=$(check_configuration 2>&1); then
        echo "$package: the old version keeps running, since the new one finds this wrong: $why" >&2
        echo "$package: mend that and run: systemctl restart $unit" >&2
        return 0
    fi
    systemctl restart "$unit" || echo "$package: it did not start again; see: systemctl status $unit" >&2
}

stop_unit() { ! systemd_runs || systemctl stop "$unit"; }

forget_unit() {
    rm -f "$enabled"
    ! systemd_runs || systemctl daemon-reload
}

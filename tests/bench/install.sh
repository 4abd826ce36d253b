#!/bin/sh
# Installs the programs that `make bench` measures ours beside, and the load tool. Starts none of them.
#
# Idempotent, and quick when nothing is missing. Without root it says what is missing, and the lines of
# the bench that need it are left out.
set -eu

# What each package is for:
#   prometheus-node-exporter collectd-core monit zabbix-agent2    what people run on nodes today
#   prometheus-pushgateway                                        what takes reports in today
#   nginx-light                                                   throws the same bodies away, as fast as anything
#   jq                                                            what people read the state of Mesos with
#   openssl                                                       plays the authority of Puppet
#   util-linux                                                    taskset and setpriv
packages="prometheus-node-exporter collectd-core monit zabbix-agent2 prometheus-pushgateway nginx-light openssl jq
  util-linux"

say() { echo "bench: $*" >&2; }

missing() {
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

command -v dpkg-query >/dev/null || {
    say "skipped: needs Debian for $packages"
    exit 0
}
wanted=$(missing)
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    say "skipped: needs root to install" $wanted
    exit 0
fi

# The packages bring services. The bench starts its own copies on its own ports, so Debian, which asks
# policy-rc.d first, may start none.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
say "installing" $wanted
log=$(mktemp)
# Unquoted: one word per package.
"$(dirname "$0")/../lab/apt.sh" $wanted >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    say "install $wanted: apt-get ended with an error, its whole log is $log"
    exit 1
}
rm -f "$log"

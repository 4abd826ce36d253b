#!/bin/bash
# Brings up a small real OpenStack on loopback: Keystone, Placement, Glance, Neutron, Cinder, and a Nova with three
# computes, without systemd. Only its ends are fakes: no guest runs, and no volume has a disk.
#
# What runs already is left alone; the servers of the stories are made anew each time. Everything is in $LAB, by default
# below ${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}; `down.sh` ends it. TOKEN_SECONDS is how long a token lasts.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}/openstack}
export LC_ALL=C.UTF-8 no_proxy=127.0.0.1,localhost
etc=$LAB/etc state=$LAB/state run=$LAB/run log=$LAB/log
python="$LAB/python"
umask 077
mkdir -p "$etc" "$state" "$run" "$log" "$python"

say() { echo "openstack: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
exec 9>"$run/lock"
flock -w 900 9 || fail "another one is being brought up in $LAB"

is_up() { [ -s "$run/$1.pid" ] && kill -0 "$(cat "$run/$1.pid")" 2>/dev/null; }

# NAME COMMAND…
start() {
    local name=$1
    shift
    if is_up "$name"; then return; fi
    (cd "$state" && exec setsid nice -n 5 "$@" </dev/null >"$log/$name.log" 2>&1 9>&-) &
    echo $! >"$run/$name.pid"
}

# NAME COMMAND…: until it succeeds
await() {
    local name=$1
    shift
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        is_up "$name" || break
        sleep 0.2
    done
    tail -n 20 "$log/$name.log" >&2
    fail "$name does not come up; its log is $log/$name.log"
}

answers() { curl -s -o /dev/null --max-time 5 "$1"; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
sql() { mariadb --no-defaults -uroot -S "$run/mysql.sock" "$@"; }

# PROGRAM MODULE:FUNCTION ARGUMENT…
entry() {
    local program=$1
    shift
    env PYTHONPATH="$python" LAB_PROGRAM="$program" nice -n 5 /usr/bin/python3 "$python/launch.py" "$@"
}
start_entry() {
    local name=$1 program=$2
    shift 2
    start "$name" env PYTHONPATH="$python" LAB_PROGRAM="$program" /usr/bin/python3 "$python/launch.py" "$@"
}
start_wsgi() {
    local name=$1 port=$2 file=$3 variable=$4
    start "$name" env "$variable" uwsgi --plugins python3 --http-socket "127.0.0.1:$port" --wsgi-file "$file" \
        --processes 1 --threads 8 --enable-threads --thunder-lock --need-app --die-on-term --buffer-size 65535 \
        --post-buffering 65536 --add-header 'Connection: close' --disable-logging
}

# NAME COMMAND…: once for each state folder
once() {
    local name=$1
    shift
    if [ -e "$state/.$name" ]; then return; fi
    "$@" >"$log/once-$name.log" 2>&1 || {
        tail -n 10 "$log/once-$name.log" >&2
        fail "$name: see $log/once-$name.log"
    }
    touch "$state/.$name"
}

databases() {
    for name in keystone placement glance neutron cinder nova nova_api nova_cell0; do
        echo "CREATE DATABASE IF NOT EXISTS $name;"
    done | sql
    echo "CREATE USER IF NOT EXISTS lab@localhost IDENTIFIED BY 'lab'; GRANT ALL ON *.* TO lab@localhost;" | sql
}
keystone_tables() {
    local manage=(keystone-manage --config-file "$etc/keystone.conf")
    "${manage[@]}" db_sync
    "${manage[@]}" fernet_setup --keystone-user root --keystone-group root
    "${manage[@]}" credential_setup --keystone-user root --keystone-group root
    "${manage[@]}" bootstrap --bootstrap-password lab-admin --bootstrap-region-id cern \
        --bootstrap-public-url http://127.0.0.1:5000/v3/ --bootstrap-internal-url http://127.0.0.1:5000/v3/ \
        --bootstrap-admin-url http://127.0.0.1:5000/v3/
}
nova_manage() { entry nova-manage nova.cmd.manage:main --config-file "$etc/nova.conf" "$@"; }
nova_tables() {
    local url="mysql+pymysql://lab:lab@localhost/nova_cell0?unix_socket=$run/mysql.sock&charset=utf8"
    nova_manage api_db sync
    nova_manage cell_v2 map_cell0 --database_connection "$url"
    # 2: it is there already.
    nova_manage cell_v2 create_cell --name cell1 --database_connection "${url/nova_cell0/nova}" \
        --transport-url rabbit://guest:guest@127.0.0.1:5673/ || [ $? = 2 ]
    nova_manage db sync
}
seed() { env LAB="$LAB" /usr/bin/python3 "$python/seed.py" "$1"; }

began=$SECONDS
"$here/install.sh"
"$here/configure.sh"
[ -e "$state/behaviour.json" ] || echo '{"delay": {}, "fail": {}}' >"$state/behaviour.json"

if [ ! -d "$state/mysql/mysql" ]; then
    mariadb-install-db --defaults-file="$etc/mariadb.cnf" --user=root --datadir="$state/mysql" --basedir=/usr \
        --auth-root-authentication-method=normal --skip-test-db >"$log/mariadb-install.log" 2>&1
fi
start mariadbd mariadbd --defaults-file="$etc/mariadb.cnf"
start epmd epmd -address 127.0.0.1 -port 4370
start rabbitmq env HOME="$state/rabbit" RABBITMQ_NODENAME=lab@localhost RABBITMQ_MNESIA_BASE="$state/rabbit/mnesia" \
    RABBITMQ_LOG_BASE="$log/rabbit" RABBITMQ_CONFIG_FILE="$etc/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_ENABLED_PLUGINS_FILE="$etc/rabbitmq.plugins" RABBITMQ_DIST_PORT=25673 \
    RABBITMQ_PID_FILE="$run/rabbitmq.own.pid" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=4370 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +S 2:2" \
    /usr/lib/rabbitmq/bin/rabbitmq-server
await mariadbd sql -e 'select 1'
once databases databases
once keystone keystone_tables
start_wsgi keystone 5000 /usr/bin/keystone-wsgi-public OS_KEYSTONE_CONFIG_FILES="$etc/keystone.conf"
once placement placement-manage --config-file "$etc/placement.conf" db sync
once glance entry glance-manage glance.cmd.manage:main --config-file "$etc/glance.conf" db_sync
once cinder entry cinder-manage cinder.cmd.manage:main --config-file "$etc/cinder.conf" db sync
once neutron entry neutron-db-manage neutron.db.migration.cli:main --config-file "$etc/neutron.conf" upgrade heads
once nova nova_tables
await keystone answers http://127.0.0.1:5000/v3
once accounts seed accounts
say "Keystone answers after $((SECONDS - began)) s"

start_wsgi placement 8778 /usr/bin/placement-api OS_PLACEMENT_CONFIG_DIR="$etc"
start_entry glance glance-api glance.cmd.api:main --config-file "$etc/glance.conf"
await rabbitmq listens 5673
start_entry neutron neutron-server neutron.cmd.eventlet.server:main --config-file "$etc/neutron.conf"
start_entry nova-conductor nova-conductor nova.cmd.conductor:main --config-file "$etc/nova.conf"
start_entry nova-scheduler nova-scheduler nova.cmd.scheduler:main --config-file "$etc/nova.conf"
start_entry nova-api nova-api-os-compute nova.cmd.api_os_compute:main --config-file "$etc/nova.conf"
for part in api scheduler volume; do
    start_entry "cinder-$part" "cinder-$part" "cinder.cmd.$part:main" --config-file "$etc/cinder.conf"
done
# A compute that comes before the conductor listens loses ten seconds.
await nova-conductor grep -q 'Starting conductor node' "$log/nova-conductor.log"
for zone in a b c; do
    start_entry "nova-compute-$zone" nova-compute nova.cmd.compute:main --config-file "$etc/compute-$zone.conf"
done
await placement answers http://127.0.0.1:8778/
await glance answers http://127.0.0.1:9292/healthcheck
await neutron answers http://127.0.0.1:9696/
await nova-api answers http://127.0.0.1:8774/
await cinder-api answers http://127.0.0.1:8776/
seed wait || fail "Nova and Cinder do not come up; their logs are in $log"
once hosts nova_manage cell_v2 discover_hosts
seed objects || fail "the servers of the stories cannot be made; the logs are in $log"
say "up in $LAB after $((SECONDS - began)) s"

#!/bin/sh
# The site: brings up its hosts, gives them certificates, and installs Millwright on them with Puppet. Started by
# cluster.sh as the first process of namespaces of its own.
#
#     site.sh run|test|operations [PROGRAMS]
set -eu
# cluster.sh keeps ours there.
exec 2>&3 3>&-

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
port=${PORT:-18480}
# What repository.sh calls the newer ones.
newer=99-1
shown=http://127.0.0.1:$port

. "$here/wait.sh"
. "$here/hosts.sh"
. "$here/mesos.sh"
. "$here/story.sh"
. "$here/operations.sh"

# ---- what the hosts find in /srv/site: modules, hiera, policy, packages, an image for containers

lay_out() {
    cp -r "$here/site" "$scratch/site"
    mkdir "$scratch/site/modules"
    cp -r "$root/packaging/puppet/millwright" "$scratch/site/modules/"
    mv "$scratch/site/data/$with_mesos.yaml" "$scratch/site/data/mesos.yaml"
    [ "$with_mesos" = without-mesos ] || mv "$scratch/site/policy-with-mesos.toml" "$scratch/site/policy.toml"
    next_step '{}'
}

# next_step YAML: what hiera says from now on.
next_step() { printf '%s\n' "$1" >"$scratch/site/data/step.yaml"; }

# The packages, and newer ones.
make_packages() {
    packages=${CARGO_TARGET_DIR:-$root/target}/packages
    if [ -n "$1" ]; then
        packages=$scratch/target/packages
        mkdir "$scratch/programs"
        for program in millwright millwright-agent millwright-coordinator; do
            strip -o "$scratch/programs/$program" "$1/$program"
        done
        MILLWRIGHT_ONLY_HERE=yes CARGO_TARGET_DIR=$scratch/target "$root/packaging/packages.sh" "$scratch/programs"
    elif ! ls "$packages"/*.deb >/dev/null 2>&1; then
        "$root/packaging/packages.sh"
    fi
    "$root/tests/lab/repository.sh" "$packages" "$scratch/site/repository"
}

# ---- hosts

# What an administrator would have set up before Millwright comes.
prepare_host() {
    etc=$scratch/$1/above/etc
    mkdir -p "$etc/puppet" "$etc/apt" "$etc/docker"
    names >"$etc/hosts"
    # Left alone, systemd would take that of the image's D-Bus, the same on every host.
    tr -d - </proc/sys/kernel/random/uuid >"$etc/machine-id"
    # Keys of half the usual length: five hosts make one each, at once.
    printf '[main]\ncertname = %s\nserver = puppet.%s\nkeylength = 2048\n' "$1.$domain" "$domain" >"$etc/puppet/puppet.conf"
    echo 'deb [trusted=yes] file:/srv/site/repository ./' >"$etc/apt/sources.list"
    # Containers have no network, or the host's.
    echo '{ "bridge": "none", "iptables": false, "ip6tables": false }' >"$etc/docker/daemon.json"
    case $1 in
    puppet)
        printf '[server]\nautosign = true\n' >>"$etc/puppet/puppet.conf"
        mkdir -p "$etc/default"
        # Less memory, and no time spent on making long runs fast.
        sed 's/-Xms1g -Xmx1g/-Xms512m -Xmx512m -XX:TieredStopAtLevel=1/' "$image/etc/default/puppetserver" >"$etc/default/puppetserver"
        # What hosts find in /srv/site is also what it tells their `puppet agent`.
        mkdir -p "$etc/puppet/code/environments"
        ln -s /srv/site "$etc/puppet/code/environments/production"
        ;;
    ali*) add_disk "$1" /var/lib/docker 1G ;;
    esac
    case $1 in
    alibuild*) add_disk "$1" /build 1G ;;
    esac
    [ "$with_mesos" = with-mesos ] || return 0
    case $1 in
    alimesos*) prepare_mesos "$mesos_programs" ;;
    alibuild*) prepare_road "$1" ;;
    esac
}

# What a node does for a living, apart from Mesos: a container that is required, and one that is somebody's work. With
# Mesos the work is tasks, and a container of nobody knows whom would keep the node from ever being empty.
set_to_work() {
    on "$1" systemctl enable --now docker
    case $1 in alimesos*) on "$1" systemctl start zookeeper ;; esac
    on "$1" sh -e -c '
        mkdir -p /tmp/image/bin
        cp /bin/busybox /tmp/image/bin/
        ln -sf busybox /tmp/image/bin/sh
        tar -C /tmp/image -c bin | docker import - lab/busybox'
    containers=$(required_on "$1")
    [ "$with_mesos" = with-mesos ] || containers="$containers somebodys-work"
    for container in $containers; do
        on "$1" docker run --detach --init --network none --restart unless-stopped --name "$container" \
            lab/busybox /bin/busybox sleep 1000000
    done
}

required_on() {
    case $1 in
    alimesos*) echo mesos-dns ;;
    *) echo docker-gc ;;
    esac
}

bring_up() {
    # shellcheck disable=SC2086 # one word each
    say "packages, and $(set -- $hosts && echo $#) hosts that boot"
    make_packages "$1" >"$scratch/packages.log" 2>&1 &
    making=$!
    network_up
    for host in $hosts; do
        prepare_host "$host"
    done
    # shellcheck disable=SC2086 # one word each
    together start_host $hosts
    say "Puppet's server, with an authority of its own; Docker and ZooKeeper"
    on puppet puppetserver ca setup >"$scratch/authority.log" 2>&1
    on puppet systemctl start puppetserver &
    server=$!
    # shellcheck disable=SC2086
    together set_to_work $nodes >"$scratch/work.log" 2>&1
    wait "$server" || fail "Puppet's server does not start: $(on puppet journalctl -u puppetserver | tail -n 5)"
    [ "$with_mesos" = without-mesos ] || start_mesos
    say "certificates for every host"
    # shellcheck disable=SC2086
    together get_certificate millwright $nodes
    wait "$making" || fail "make the packages: $(tail -n 5 "$scratch/packages.log")"
    older=$(sed -n 's/^Version: //p' "$scratch/site/repository/Packages" | grep -v "$newer" | head -n 1)
    next_step "{ 'millwright::version': '$older' }"
    say "Millwright by Puppet"
    # shellcheck disable=SC2086
    together run_puppet millwright $nodes
}

# ---- Puppet

get_certificate() { on "$1" puppet ssl bootstrap >>"$scratch/$1/ssl.log" 2>&1; }

# As an administrator does with Puppet 7: the authority forgets the host, which revokes what it had, and signs it anew.
forget() { on puppet puppetserver ca clean --certname "$1.$domain" >>"$scratch/$1/ssl.log" 2>&1; }

sign_anew() {
    on "$1" puppet ssl clean >>"$scratch/$1/ssl.log" 2>&1
    get_certificate "$1"
}

revoke() { on puppet puppetserver ca revoke --certname "$1.$domain" >>"$scratch/$1/ssl.log" 2>&1; }

# run_puppet HOST: a run that ends well. $changed is yes if it did something.
run_puppet() {
    on "$1" apt-get -q update >"$scratch/$1/apt.log" 2>&1
    status=0
    on "$1" puppet apply --color false --detailed-exitcodes --modulepath /srv/site/modules \
        --hiera_config /srv/site/hiera.yaml /srv/site/manifests/site.pp >"$scratch/$1/puppet.log" 2>&1 || status=$?
    case $status in
    0) changed=no ;;
    2) changed=yes ;;
    *) fail "Puppet on $1 ended with $status: $(tail -n 20 "$scratch/$1/puppet.log")" ;;
    esac
}

# ---- the dashboard

# The coordinator speaks to operators on its own host alone: a port of the machine leads there.
show_dashboard() {
    pid=$(cat "$scratch/millwright/pid")
    nsenter --net=/proc/self/fd/9 systemd-socket-activate --listen="127.0.0.1:$port" \
        nsenter --net="/proc/$pid/ns/net" /lib/systemd/systemd-socket-proxyd 127.0.0.1:8480 >"$scratch/dashboard.log" 2>&1 &
    door=$!
    until_true 60 "the dashboard answers on port $port of the machine" page /
    # Somebody else's may have answered.
    kill -0 "$door" 2>/dev/null || fail "port $port of this machine is taken: say PORT=NUMBER. $(tail -n 1 "$scratch/dashboard.log")"
}

# page PATH: as a browser on the machine gets it.
page() { nsenter --net=/proc/self/fd/9 curl --silent --show-error --fail --max-time 5 "$shown$1"; }

# ----

mode=$1
with_mesos=without-mesos
if [ "$mode" = operations ]; then
    with_mesos=with-mesos
    mesos_programs=${MESOS_PROGRAMS:-${CARGO_TARGET_DIR:-$root/target}/debug/examples}
    # One more, which is protected.
    hosts="$hosts alibuild03"
    nodes="$nodes alibuild03"
fi
lay_out
bring_up "${2:-}"
show_dashboard
say "the dashboard: $shown"
if [ "$mode" = run ]; then
    say "a shell on a host: $here/cluster.sh shell $scratch HOST   with HOST one of: $hosts"
    say "Ctrl-C ends it"
    while :; do sleep 3600 & wait $!; done
elif [ "$mode" = test ]; then
    story
else
    operations
fi
say "good"

#!/bin/sh
# Mesos, the real one, for the operations' story: master and agents in one process on alimesos01, as its local mode has it.
# Each agent belongs to one node, and its tasks run in that node's Docker. Sourced by site.sh.
# shellcheck shell=sh disable=SC2154
set -eu

mesos=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}/mesos-1.11.0
mesos_port=5050
# Where a node's Docker is reached from alimesos01.
docker_port=2375

# The number of a node's Mesos agent, from 1.
mesos_number() {
    number=0
    for agent in $nodes; do
        case $agent in alimesos*) continue ;; esac
        number=$((number + 1))
        [ "$agent" != "$1" ] || echo "$number"
    done
}

# prepare_mesos PROGRAMS: before alimesos01 boots. PROGRAMS has a framework, and what runs a task in the place of Mesos' own.
prepare_mesos() {
    [ -x "$mesos/mesos-host" ] || fail "there is no $mesos/mesos-host: run tests/lab/install.sh"
    above=$scratch/alimesos01/above
    # It looks for its libraries where it was built.
    mkdir -p "$above${mesos%/*}" "$above/usr/local/bin" "$above/usr/local/lib/mesos" "$above/etc/systemd/system"
    cp -r "$mesos" "$above${mesos%/*}/"
    strip -o "$above/usr/local/lib/mesos/mesos-docker-executor" "$1/mesos-docker-executor"
    strip -o "$above/usr/local/bin/mesos-framework" "$1/mesos-framework"
    docker_of_nodes >"$above/usr/local/lib/mesos/docker"
    chmod 755 "$above/usr/local/lib/mesos/docker"
    cat >"$above/etc/systemd/system/mesos.service" <<END
[Service]
Environment=LIBPROCESS_IP=$(address alimesos01) LIBPROCESS_PORT=$mesos_port LIBPROCESS_NUM_WORKER_THREADS=4
Environment=MESOS_HOSTNAME=$(address alimesos01) MESOS_LAUNCHER=posix MESOS_SYSTEMD_ENABLE_SUPPORT=false
Environment=MESOS_CONTAINERIZERS=docker MESOS_DOCKER=/usr/local/lib/mesos/docker MESOS_DOCKER_KILL_ORPHANS=false
Environment=MESOS_LAUNCHER_DIR=/usr/local/lib/mesos MESOS_RESOURCES=cpus:4;mem:4096;disk:10000;ports:[31000-32000]
StateDirectory=mesos
# It asks for these, and systemd mounts no hierarchy that has one controller where it wants two.
ExecStartPre=/bin/sh -c 'for one in cpu cpuacct; do mkdir -p /run/mesos/\$\$one; mount -t cgroup -o \$\$one \$\$one /run/mesos/\$\$one; done'
ExecStart=$mesos/mesos-host $mesos/_scheduler.so /var/lib/mesos $(mesos_number alibuild03)
END
}

# What Mesos takes for Docker: that of the node whose agent asks. An agent asks from within the one process and does not say
# which it is, but a container and an image are where they are found. Numbers of processes there mean nothing here.
docker_of_nodes() {
    echo '#!/bin/sh'
    echo '[ "$1" = -H ] || exec /usr/bin/docker "$@"'
    echo 'shift 2'
    echo 'case ${MESOS_SLAVE_PID:-} in'
    for agent in $nodes; do
        case $agent in alimesos*) continue ;; esac
        echo "\"slave($(mesos_number "$agent"))@\"*) exec /usr/bin/docker -H tcp://$(address "$agent"):$docker_port \"\$@\" ;;"
    done
    echo 'esac'
    echo 'for node in \'
    for agent in $nodes; do
        case $agent in alimesos*) continue ;; esac
        echo "    $(address "$agent") \\"
    done
    cat <<END
    ; do
    if found=\$(/usr/bin/docker -H "tcp://\$node:$docker_port" "\$@" 2>"/tmp/said-\$\$"); then
        rm "/tmp/said-\$\$"
        printf '%s\n' "\$found" | sed 's/"Pid": [0-9]*/"Pid": 0/'
        exit
    fi
done
cat "/tmp/said-\$\$" >&2
rm "/tmp/said-\$\$"
exit 1
END
}

# The road to a node's Docker, before it boots.
prepare_road() {
    units=$scratch/$1/above/etc/systemd/system
    mkdir -p "$units/sockets.target.wants"
    printf '[Socket]\nListenStream=%s\n' "$docker_port" >"$units/docker-road.socket"
    printf '[Service]\nExecStart=/lib/systemd/systemd-socket-proxyd /run/docker.sock\n' >"$units/docker-road.service"
    ln -s ../docker-road.socket "$units/sockets.target.wants/"
}

start_mesos() {
    on alimesos01 systemctl start mesos
    until_true 60 "all agents of Mesos are there" has_all_agents
}

# mesos_says PYTHON: about $state, what the master says of everything.
mesos_says() {
    on alimesos01 curl --silent --fail --max-time 5 "http://$(address alimesos01):$mesos_port/state" |
        python3 -c 'import json, sys; state = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$1"
}

has_all_agents() { mesos_says "state['activated_slaves'] == $(mesos_number alibuild03)"; }

# The master itself says that a node gets no new work.
is_cordoned() {
    mesos_says "[one['deactivated'] for one in state['slaves'] if one['pid'].startswith('slave($(mesos_number "$1"))@')] == [True]"
}

is_not_cordoned() {
    mesos_says "[one['deactivated'] for one in state['slaves'] if one['pid'].startswith('slave($(mesos_number "$1"))@')] == [False]"
}

# begin_task NAME NODE: in a framework of its own that waits for an offer of the node. It works until it finds /finished.
begin_task() {
    # A framework takes the end of its standard input as its own.
    on alimesos01 systemd-run --quiet --unit "framework-$1" sh -c 'tail -f /dev/null |
        mesos-framework --master "$1" --framework tests --name "$2" --id "$2.0" --image lab/busybox --agent "$3" \
            --command "until [ -e /finished ]; do /bin/busybox sleep 1; done" >"/var/log/framework-$2.log" 2>&1' - \
        "http://$(address alimesos01):$mesos_port" "$1" "$(mesos_number "$2")"
    until_true 60 "the framework of the task $1 is known to the master" in_log_of "$1" '^subscribed '
}

in_log_of() { on alimesos01 grep -q "$2" "/var/log/framework-$1.log"; }

# task_is NAME STATE: its last word.
task_is() {
    [ "$(on alimesos01 sed -n "s/^update $1\.0 \([A-Z_]*\).*/\1/p" "/var/log/framework-$1.log" | tail -n 1)" = "TASK_$2" ]
}

# was_offered NAME NODE: to its framework.
was_offered() { in_log_of "$1" "^offer /slave($(mesos_number "$2"))"; }

# container_of TASK NODE: prints it; fails where there is none.
container_of() {
    for container in $(on "$2" docker ps --quiet --no-trunc); do
        ! on "$2" docker inspect --format '{{.Config.Env}}' "$container" | grep -q "MESOS_TASK_ID=$1\.0[] ]" || {
            echo "$container"
            return
        }
    done
    return 1
}

# The work of a task is done: it ends by itself.
finish_task() { on "$2" docker exec "$(container_of "$1" "$2")" /bin/busybox touch /finished; }

#!/bin/sh
# Proves that the release programs run on CentOS 7: glibc 2.17, Linux 3.10.
#
# 1. What they ask of the system, and that they are stripped (prove-links.sh).
# 2. That the agent is within the size we promise.
# 3. That they do their work where Linux 3.10 ends (linux-3.10.c): a check, reports, a page, a verdict.
#
# Each part is shown able to fail before it is believed. Quick when build.sh has nothing to build.
#     packaging/prove-old-platform.sh [FOLDER]     FOLDER: programs to prove; without it build.sh builds them
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
newest_glibc=2.17
agent_limit=$((5 * 1024 * 1024))

say() { echo "old-platform: $*"; }

fail() {
    echo "old-platform: $*" >&2
    exit 1
}

prove_links() {
    "$here/prove-links.sh" "$agent" "$coordinator" "$cli" || exit 1
    size=$(wc -c <"$agent")
    say "millwright-agent: $size bytes"
    [ "$size" -le "$agent_limit" ] || fail "$agent has $size bytes; promised are at most $agent_limit"
}

# That proof must see what it looks for: a program of this machine's glibc is such a case, unless that is old.
prove_that_links_can_fail() {
    here_glibc=$(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)
    [ "$(printf '%s\n' "$here_glibc" 2.34 | sort -V | head -n 1)" = 2.34 ] || return 0
    case $("$here/prove-links.sh" "$scratch/linux-3.10" 2>&1) in
    *"asks for GLIBC_"*) ;;
    *) fail "a program linked to this machine's glibc $here_glibc passes as one for $newest_glibc: the check is blind" ;;
    esac
}

# Starts a daemon under the filter. Its process id is $started; its words are in NAME.out and NAME.log.
start() {
    name=$1
    shift
    # Or the words of an earlier start would be taken for its own.
    rm -f "$scratch/$name.out"
    "$scratch/linux-3.10" "$@" >"$scratch/$name.out" 2>>"$scratch/$name.log" </dev/null &
    started=$!
    running="$running $started"
}

# Ended, if only waited for.
has_ended() {
    state=$(awk '{ print $3 }' "/proc/$1/stat" 2>/dev/null) || true
    [ -z "$state" ] || [ "$state" = Z ]
}

# Ends a daemon as systemd does: asks, and after a while does not ask. $code is how it ended.
end() {
    kill "$1" 2>/dev/null || true
    tries=100
    until has_ended "$1"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || kill -9 "$1" 2>/dev/null || true
        sleep 0.1
    done
    code=0
    wait "$1" || code=$?
    running=$(echo "$running" | sed "s/ $1\$//; s/ $1 / /")
}

# As `end`, and it has to be a good end.
stop() {
    ! has_ended "$1" || fail "the daemon with process id $1 ended before it was told to"
    end "$1"
    [ "$code" -eq 0 ] || fail "the daemon with process id $1 was told to stop and ended with $code"
}

old() { "$scratch/linux-3.10" "$@"; }

# Leaves nothing behind, and shows the daemons' last words when something failed.
finish() {
    status=$?
    trap - EXIT INT TERM
    for pid in $running; do
        end "$pid"
    done
    if [ "$status" -ne 0 ]; then
        for log in "$scratch"/*.log; do
            [ ! -s "$log" ] || { echo "---- $(basename "$log")" && tail -n 20 "$log"; } >&2
        done
    fi
    rm -rf "$scratch"
    exit "$status"
}

# Tries until the command succeeds, at most about half a minute.
wait_for() {
    what=$1
    shift
    tries=150
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "wait for $what: it did not come within 30 s"
        sleep 0.2
    done
}

get() { curl --silent --show-error --fail --max-time 10 "$@"; }

# The text on standard input has $1 in it; $2 says what the text is.
expect() {
    text=$(cat)
    case $text in
    *"$1"*) ;;
    *) fail "$2: this is not in it: $1, but this:
$(echo "$text" | head -n 20)" ;;
    esac
}

# One node, which must never be rebuilt: so the verdict to expect is the same on every machine.
write_configuration() {
    mkdir "$scratch/agent-state" "$scratch/coordinator-state"
    # A container has none of its own.
    tr -d - </proc/sys/kernel/random/uuid >"$scratch/machine-id"
    cat >"$scratch/agent.toml" <<TOML
[node]
name = "old01"
class = "agent-no-volume"
[status]
listen = "127.0.0.1:0"
[paths]
state = "$scratch/agent-state"
machine_id = "$scratch/machine-id"
[prepull]
images = []
TOML
    cat >"$scratch/coordinator.toml" <<TOML
host = "old-host"
state_dir = "$scratch/coordinator-state"
policy = "$scratch/policy.toml"
[listen]
operators = "127.0.0.1:0"
agents = "127.0.0.1:0"
socket = "$scratch/coordinator.sock"
TOML
    cat >"$scratch/policy.toml" <<TOML
[cluster]
name = "old"
coordinator = "old-host"
[protections]
old01 = ["never_rebuild"]
[[nodes]]
class = "agent-no-volume"
names = ["old01"]
TOML
}

prove_check() {
    say "millwright-agent check"
    code=0
    old "$agent" --config "$scratch/agent.toml" check --json >"$scratch/check.json" || code=$?
    # 0 to 3 tell the worst finding, whatever the health of this machine; anything else is a failure.
    [ "$code" -le 3 ] || fail "millwright-agent check ended with $code"
    expect '"status": "ok"' "what millwright-agent check found" <"$scratch/check.json"
}

prove_agent() {
    say "millwright-agent, its page, its metrics"
    start agent "$agent" --config "$scratch/agent.toml" --set "coordinator.url=$agents"
    agent_pid=$started
    wait_for "the agent's address" grep -q '^status on ' "$scratch/agent.out"
    address=$(sed -n 's/^status on //p' "$scratch/agent.out")
    get "$address/" | expect old01 "the agent's page"
    get "$address/metrics" | expect millwright_ "the agent's metrics"
    old "$agent" status --url "$address" | expect old01 "millwright-agent status"
}

# The addresses come from what it announces.
start_coordinator() {
    start coordinator "$coordinator" --config "$scratch/coordinator.toml" run --announce
    coordinator_pid=$started
    wait_for "the coordinator's addresses" grep -q agents "$scratch/coordinator.out"
    operators=$(announced operators)
    agents=$(announced agents)
}

announced() { sed 's/.*"'"$1"'":"\([^"]*\)".*/\1/; s#^http://##; s#^#http://#' "$scratch/coordinator.out"; }

# Only a report brings the id of this boot.
has_reported() { get "$operators/api/v1/nodes/old01" | grep -q "$(cat /proc/sys/kernel/random/boot_id)"; }

prove_coordinator() {
    say "millwright-coordinator with that agent's reports, its pages, a verdict"
    wait_for "the agent's report to reach the coordinator" has_reported
    get "$operators/" | expect old01 "the fleet's page"
    get "$operators/nodes/old01" | expect old01 "the node's page"
    old "$cli" --server "unix:$scratch/coordinator.sock" nodes | expect old01 "millwright nodes, over the Unix socket"
    code=0
    old "$cli" --server "$operators" may rebuild old01 --json >"$scratch/verdict.json" || code=$?
    [ "$code" -eq 12 ] || fail "millwright may rebuild old01 ended with $code; 12 means refused"
    expect node_protected "the verdict" <"$scratch/verdict.json"
}

prove_restart() {
    say "millwright-coordinator once more, with what it stored"
    stop "$agent_pid"
    stop "$coordinator_pid"
    start_coordinator
    # Nobody reports any more: what it says now, it has read.
    has_reported || fail "after its restart the coordinator does not know what old01 reported before"
    stop "$coordinator_pid"
}

[ "$(uname -m)" = x86_64 ] || fail "this proof is for x86_64, and this machine is $(uname -m)"
"$root/tests/lab/needs.sh" cc objdump curl
folder=${1:-$("$here/build.sh")}
agent=$folder/millwright-agent
coordinator=$folder/millwright-coordinator
cli=$folder/millwright
running=
scratch=$(mktemp -d "${TMPDIR:-/tmp}/old-platform.XXXXXX")
trap finish EXIT
trap 'exit 130' INT TERM
cc -O2 -Wall -Wextra -Werror -o "$scratch/linux-3.10" "$here/linux-3.10.c"

prove_that_links_can_fail
prove_links
for program in "$agent" "$coordinator" "$cli"; do
    old "$program" --version | expect "$(basename "$program")" "$program --version"
done
write_configuration
prove_check
start_coordinator
prove_agent
prove_coordinator
prove_restart
say "proven: glibc $newest_glibc, Linux 3.10"

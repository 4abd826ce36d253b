#!/bin/sh
# What vm-test tells: it boots, it is verified, it is rebooted by an operation, and the operation ends when it is verified
# again by its own new boot id. Sourced.
# shellcheck shell=sh disable=SC2154
set -eu

story() {
    until_true 600 "the first report" has_booted_after ""
    first=$(boot boot_id)
    say "booted and reported boot $first within $waited s"
    is_the_machines_own "$first"
    identity=$(machine_id)
    wait_verified

    request_reboot
    until_true 900 "a report of another boot" has_booted_after "$first"
    second=$(boot boot_id)
    say "rebooted and reported boot $second after another $waited s"
    is_the_machines_own "$second"
    [ "$(machine_id)" = "$identity" ] || fail "the machine has changed: it was $identity, now it is $(machine_id)"
    wait_verified
    # Its memory would say why logind had none for it.
    until_true 60 "the machine says what its agent remembers" has_said_delay
    [ "$undelayed" = "0 of 1" ] || fail "the reboot did not wait for the agent: $undelayed"
    say "logind gave the agent a delay for that"
    until_true 600 "the end of $operation" has_ended
    [ "$(of_operation state)" = succeeded ] || fail "$operation is $(of_operation state): $(of_operation ended)"
    say "$operation has succeeded after another $waited s: $(of_operation ended)"
    [ "$(boot boot_id)" = "$second" ] || fail "it booted once more: $(boot boot_id)"
    say "done: one reboot by order, proven by the machine's own new boot id"
}

# Asks the coordinator for an operation. No agent reboots a machine within ten minutes of its boot (S18), and neither the
# agent nor this story looks away: that is real time, waited for by the machine's own clock.
request_reboot() {
    say "waiting until the machine has been up for ten minutes: no agent reboots a younger one"
    until_true 900 "ten minutes of uptime" is_old_enough
    until_true 300 "the operation is accepted" ask_for_reboot
    operation=$(sed -n 's/.*"id":"\(op-[0-9]*\)".*/\1/p' "$scratch/accepted")
    say "the coordinator has accepted $operation; from here on nobody touches anything"
}

has_said_delay() {
    : >"$scratch/said"
    type_line 'cd /var/lib/millwright-agent && echo "undelayed=$(grep -ac undelayed memory) of $(grep -ac boot_id_before memory)="'
    sleep 1
    undelayed=$(sed -n 's/.*undelayed=\([0-9]* of [0-9]*\)=.*/\1/p' "$scratch/said" | tail -n 1)
    [ "$undelayed" ]
}

is_old_enough() {
    : >"$scratch/said"
    type_line 'echo "up=$(cut -d. -f1 /proc/uptime)="'
    sleep 1
    up=$(sed -n 's/.*up=\([0-9]*\)=.*/\1/p' "$scratch/said" | tail -n 1)
    [ "${up:-0}" -gt 600 ]
}

ask_for_reboot() {
    curl --silent --fail --max-time 5 --unix-socket "$scratch/coordinator.sock" --header 'content-type: application/json' \
        --data "{\"action\":\"reboot\",\"nodes\":[\"$node\"],\"reason\":\"a new kernel\",\"by\":\"jane\"}" \
        "http://localhost/api/v1/operations" >"$scratch/accepted"
}

# ---- the coordinator on this host

start_coordinator() {
    cat >"$scratch/policy.toml" <<END
protections = "none"
[cluster]
name = "vm"
coordinator = "lab"
project = "lab"
[classes.agent-no-volume]
mode = "act"
settle = "10s"
[classes.agent-no-volume.consent]
reboot = { kind = "none" }
[classes.agent-no-volume.sources]
agent = "required"
mesos_master = "none"
[[nodes]]
class = "agent-no-volume"
names = ["$node"]
END
    cat >"$scratch/coordinator.toml" <<END
host = "lab"
state_dir = "$scratch/state"
policy = "$scratch/policy.toml"
[listen]
operators = "127.0.0.1:0"
agents = "127.0.0.1:0"
socket = "$scratch/coordinator.sock"
END
    setpriv --pdeathsig KILL "$programs/millwright-coordinator" --config "$scratch/coordinator.toml" run --announce \
        >"$scratch/coordinator.log" 2>&1 9>&- &
    coordinator=$!
    until_true 60 "the coordinator says where it listens" announced operators
    operators=$(announced operators)
    agents=$(announced agents)
    agents_port=${agents##*:}
    say "the coordinator listens on $operators, for agents on $agents"
}

announced() {
    python3 -c '
import json, sys
for line in open(sys.argv[1]):
    if line.startswith("{"):
        print(json.loads(line)[sys.argv[2]])
        sys.exit()
sys.exit(1)' "$scratch/coordinator.log" "$1"
}

# ---- what it knows of the node

# A member of the node, by its path; fails where there is none.
known() {
    curl --silent --fail --max-time 5 "$operators/api/v1/nodes/$node" | python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value[key]
print(value)
sys.exit(value is None)' "$1" 2>/dev/null
}

boot() { known "boot.$1"; }

machine_id() { known identity.machine_id; }

has_booted_after() { now=$(boot boot_id) && [ "$now" != "$1" ]; }

is_verified() { boot verified_at; }

wait_verified() {
    until_true 600 "two clean reports of this boot, a minute apart" is_verified
    say "verified since boot after another $waited s"
}

is_the_machines_own() {
    own=$(own_boot_id)
    [ "$own" = "$1" ] || fail "the agent reports boot $1 and the machine's kernel says $own"
}

# ---- what it knows of the operation

# A member of it; fails where there is none.
of_operation() {
    curl --silent --fail --max-time 5 "$operators/api/v1/operations/$operation" | python3 -c '
import json, sys
value = json.load(sys.stdin)[sys.argv[1]]
print(value)
sys.exit(value is None)' "$1" 2>/dev/null
}

has_ended() { of_operation ended; }

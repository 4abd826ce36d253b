#!/bin/sh
# What vm-test tells: it boots, it is verified, it is rebooted, and it is verified again by its own new boot id. Sourced.
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
    until_true 600 "a report of another boot" has_booted_after "$first"
    second=$(boot boot_id)
    say "rebooted and reported boot $second within $waited s"
    is_the_machines_own "$second"
    [ "$(machine_id)" = "$identity" ] || fail "the machine has changed: it was $identity, now it is $(machine_id)"
    wait_verified
    [ "$(boot boot_id)" = "$second" ] || fail "it booted once more: $(boot boot_id)"
    say "done: one reboot, proven by the machine's own new boot id"
}

# Where an order to the coordinator belongs, once it carries out reboots; until then a person at the keyboard does.
request_reboot() {
    say "asking for a reboot by hand, on the machine"
    type_line 'systemctl reboot'
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
mode = "observe"
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


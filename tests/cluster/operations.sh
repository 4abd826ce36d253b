#!/bin/sh
# What cluster-operations tells: a node that works for Mesos is rebooted by an operation and comes back with nobody touching
# it, whatever is killed meanwhile; and a protected node is refused everywhere. Sourced by site.sh.
# shellcheck shell=sh disable=SC2154,SC2086
set -eu

patient=alibuild01

operations() {
    say "installed by Puppet, and told apart by certificates"
    wait_all_green
    everybody_has_a_certificate
    puppet_runs_as_ordered
    protected_is_refused
    busy_node_is_cordoned
    killed_while_it_waits
    ends_by_itself
    empty_and_killed
    boots_again
    returned
    written_down
}

# ---- what can be seen

# A process of systemd's: its number.
process_of() { on "$1" systemctl show --property MainPID --value "$2"; }

is_another_process() {
    now=$(process_of "$1" "$2")
    [ "$now" != 0 ] && [ "$now" != "$3" ]
}

# kill_it HOST UNIT: without a word; systemd starts it again.
kill_it() {
    before=$(process_of "$1" "$2")
    on "$1" systemctl kill --signal KILL --kill-who main "$2"
    until_true 60 "systemd starts $2 again" is_another_process "$1" "$2" "$before"
}

# of_operation PYTHON: true, or printed, about $it, the operation.
of_operation() {
    on millwright millwright operations "$operation" --json | python3 -c '
import json, sys
it = json.load(sys.stdin)
step = {one["step"]: one for one in it["steps"]}
facts = lambda word: {fact["fact"]: fact["value"] for fact in step[word]["evidence"]}
waiting = json.dumps(it.get("waiting") or {})
found = eval(sys.argv[1])
print(found)
sys.exit(not found)' "$1"
}

is_being_proven() { of_operation "it['step'] == 'prove_empty' and 'build.0' not in waiting"; }

waits_for() { of_operation "'$1' in waiting"; }

is_over() { of_operation "it['state'] in ('succeeded', 'cancelled', 'abandoned', 'stuck', 'parked')"; }

told() { of_operation "it['waiting']['sentence'] if it.get('waiting') else it['state'] + ' at ' + str(it['step'])" || true; }

# until_operation SECONDS WHAT COMMAND...: and if it does not come, where it stands.
until_operation() {
    limit_of_it=$1 what_of_it=$2
    shift 2
    (until_true "$limit_of_it" "$what_of_it" "$@" && echo "$waited" >"$scratch/waited") || fail "$operation: $(told)"
    waited=$(cat "$scratch/waited")
}

memory_of_agent() {
    on "$1" awk '/^Rss|^Pss:/ { printf "%s%s %s kB", between, $1, $2; between = ", " }' \
        "/proc/$(process_of "$1" millwright-agent)/smaps_rollup"
}

# ---- the story

everybody_has_a_certificate() {
    for node in $nodes; do
        on "$node" grep -q "^url = \"https://millwright.$domain:8482\"" /etc/millwright/agent.toml ||
            fail "the agent of $node does not speak TLS: $(on "$node" cat /etc/millwright/agent.toml)"
    done
    ! on $patient curl --silent --max-time 5 --cacert /var/lib/puppet/ssl/certs/ca.pem "https://millwright.$domain:8482/healthz" ||
        fail "the coordinator lets in who shows no certificate"
    say "   each agent with its own; without one nobody is let in"
}

# The first of all runs is that of a server that has compiled nothing yet.
puppet_runs_as_ordered() {
    for node in $nodes; do
        on "$node" systemctl start millwright-puppet-run || fail "Puppet on $node: $(on "$node" journalctl -u millwright-puppet-run | tail -n 5)"
    done
    say "   Puppet runs on each as an order has it run, against its server"
}

# refused CODE COMMAND...: on the coordinator's host, with this exit code and the word for it.
refused() {
    word=$1
    shift
    status=0
    answer=$(on millwright "$@" 2>&1) || status=$?
    [ "$status" -eq 12 ] || fail "this ended with $status and not with a refusal: $*: $answer"
    echo "$answer" | grep -q "$word" || fail "this is refused without the word $word: $*: $answer"
}

protected_is_refused() {
    say "alibuild03 is protected"
    for name in alibuild03 ALIBUILD03 alibuild03.lab.test; do
        for action in rebuild delete; do
            refused never_$action millwright may $action $name
            more=
            [ $action = rebuild ] || more="--typed alibuild03 --volumes delete"
            refused never_$action millwright $action $name --reason "a story" $more
            refused never_$action millwright $action $name --reason "a story" $more --dry-run
        done
    done
    for body in '{"action":"rebuild","nodes":["alibuild03"],"reason":"a story","by":"root"}' \
        '{"action":"delete","nodes":["alibuild03"],"reason":"a story","by":"root","typed":"alibuild03","volumes":"keep"}'; do
        answer=$(on millwright curl --silent --max-time 5 --unix-socket /run/millwright/coordinator.sock \
            --header 'content-type: application/json' --data "$body" http://localhost/api/v1/operations)
        echo "$answer" | grep -q '"code":"node_protected"' || fail "the API did not refuse $body: $answer"
    done
    status=0
    answer=$(on millwright millwright reboot alibuild03 --reason "a story" 2>&1) || status=$?
    echo "$status $answer" | grep -q '^1[0-9] .*confirm_reboot' || fail "its reboot asks for no yes: $status $answer"
    page /nodes/alibuild03 >"$scratch/page"
    grep -q never_rebuild "$scratch/page" || fail "its page does not say that it is protected"
    ! grep -q -e 'Rebuild it' -e 'Delete it' "$scratch/page" || fail "its page has a button for what is never done"
    [ "$(on millwright millwright operations --json | tr -d ' \n')" = '{"operations":[]}' ] ||
        fail "something was begun: $(on millwright millwright operations)"
    say "   no rebuild and no delete: not by name, command line, API or page; no reboot without a yes"
}

busy_node_is_cordoned() {
    say "$patient works: a task of Mesos in its Docker; alibuild02 as well"
    begin_task build $patient
    begin_task other alibuild02
    until_true 120 "the task build runs" task_is build RUNNING
    until_true 120 "the task other runs" task_is other RUNNING
    until_true 60 "the coordinator knows of the task build" knows_of_task
    for task in "build $patient" "other alibuild02"; do
        set -- $task
        on "$2" docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Pid}}' "$(container_of "$1" "$2")" >"$scratch/$1.life"
    done

    until_true 300 "the reboot of $patient is accepted" ask_for_reboot
    operation=$(sed -n 's/.*"id": *"\(op-[0-9]*\)".*/\1/p' "$scratch/accepted")
    say "reboot of $patient: $operation; from here on nobody touches the node"
    until_operation 120 "it waits for the task" waits_for build.0
    is_cordoned $patient || fail "$operation waits for the task and the master knows nothing of a cordon"
    say "   cordoned after $waited s, as the master says itself; waits: $(told)"
    begin_task next $patient
    say "   another task wants to run there, and gets no offer"
    say "   the agent meanwhile, over mutual TLS: $(memory_of_agent $patient)"
}

knows_of_task() { on millwright millwright node $patient --json | grep -q build.0; }

ask_for_reboot() { on millwright millwright reboot $patient --reason "a new kernel" --json >"$scratch/accepted"; }

# The task runs as it did, and nobody has come to it.
still_works() {
    task_is build RUNNING || fail "$1: the task is no longer running"
    on $patient docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Pid}}' "$(container_of build $patient)" |
        cmp -s - "$scratch/build.life" || fail "$1: the container of the task is another one"
    ! was_offered next $patient || fail "$1: the node was offered to a task"
    is_cordoned $patient || fail "$1: the node is no longer cordoned"
    nobody_is_blamed
}

# What the operation itself has done to the offers is nobody else's doing.
nobody_is_blamed() {
    on millwright millwright nodes >"$scratch/nodes"
    ! grep somebody "$scratch/nodes" || fail "somebody else is blamed for the cordon of $operation"
}

killed_while_it_waits() {
    say "the coordinator is killed"
    kill_it millwright millwright-coordinator
    until_operation 120 "the coordinator knows again what it waits for" waits_for build.0
    say "   knows again what it waits for after $waited s"
    still_works "the coordinator was killed"
    say "the agent of $patient is killed"
    kill_it $patient millwright-agent
    since=$(date +%s)
    until_true 120 "its report is accepted" accepted_since $patient "$since"
    until_operation 120 "it waits for the task" waits_for build.0
    say "   its report is accepted after $waited s"
    still_works "the agent was killed"
}

ends_by_itself() {
    say "the task ends by itself"
    finish_task build $patient
    until_true 120 "Mesos says that it has finished" task_is build FINISHED
    until_operation 120 "its emptiness is being proven" is_being_proven
    say "   finished; waits: $(told)"
}

empty_and_killed() {
    # Of the coordinator alone: its process has all the Mesos agents in it, and nodes that all go bad at once are a storm.
    say "the master can no longer be reached"
    on millwright ip route add unreachable "$(address alimesos01)"
    until_operation 180 "it waits for the master" waits_for "Mesos master"
    say "   told after $waited s: $(told)"
    [ "$(boots_of $patient)" = 1 ] || fail "$patient was rebooted although its emptiness is not proven"
    on millwright ip route delete unreachable "$(address alimesos01)"
    say "it can be reached again, and the coordinator is killed once more"
    kill_it millwright millwright-coordinator
}

has_gone_down() { [ "$(cat "$scratch/$patient/pid" 2>/dev/null)" != "$first_process" ]; }

boots_again() {
    first_process=$(cat "$scratch/$patient/pid")
    first_boot=$(cat "$scratch/$patient/boot_id")
    until_operation 600 "$patient goes down" has_gone_down
    say "   proven empty and rebooted after $waited s"
    say "the coordinator is killed while nobody hears of $patient"
    kill_it millwright millwright-coordinator
    until_true 180 "$patient has booted" has_booted $patient
    say "   $patient is up again"
    nobody_is_blamed
    for word in agent mesos_master; do
        of_operation "'until' in {fact['source']: fact['value'] for fact in step['prove_empty']['evidence'] if fact['fact'] == 'empty'}['$word']" >/dev/null ||
            fail "its emptiness was not proven by $word: $(of_operation "step['prove_empty']")"
    done
}

returned() {
    until_operation 900 "the end of $operation" is_over
    of_operation "it['state'] == 'succeeded'" >/dev/null || fail "$operation has come to another end: $(told)"
    say "$operation has succeeded after $waited s more: $(of_operation "it['ended']")"
    [ "$(boots_of $patient)" = 2 ] || fail "$patient has booted $(boots_of $patient) times and should have booted once more"
    [ "$(of_operation "facts('new_boot')['boot_id']")" = "$(cat "$scratch/$patient/boot_id")" ] ||
        fail "it was proven by another boot than the present one: $(of_operation "step['new_boot']")"
    [ "$(of_operation "facts('new_boot')['boot_id_before']")" = "$first_boot" ] || fail "it knows of another boot before"
    of_operation "not [line for line in it['story'] if line['what'] == 'asked']" >/dev/null || fail "somebody was asked for help"
    of_operation "facts('puppet_run')['puppet_exit_code'] in ('0', '2')" >/dev/null ||
        fail "Puppet has not run: $(of_operation "step['puppet_run']")"
    say "   booted once, under a new boot id; Puppet ran there and ended with $(of_operation "facts('puppet_run')['puppet_exit_code']")"
    is_not_cordoned $patient || fail "the master says that $patient is still cordoned"
    until_true 120 "the task that waited runs" task_is next RUNNING
    say "   the task that had waited runs there after $waited s"
    task_is other RUNNING || fail "the task on alibuild02 has ended"
    on alibuild02 docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Pid}}' "$(container_of other alibuild02)" |
        cmp -s - "$scratch/other.life" || fail "the container of the task on alibuild02 is another one"
    for node in alimesos01 alibuild02 alibuild03; do
        [ "$(boots_of $node)" = 1 ] || fail "$node was rebooted and nobody had asked for that"
    done
    wait_all_green
}

written_down() {
    on millwright runuser -u millwright -- millwright-coordinator backup /var/lib/millwright/copy.sqlite >/dev/null ||
        fail "the store could not be copied"
    on millwright millwright audit verify /var/lib/millwright/copy.sqlite >"$scratch/verified" 2>&1 ||
        fail "the journal is damaged: $(cat "$scratch/verified")"
    on millwright millwright audit | grep "reboot $patient ($operation): a new kernel" >"$scratch/audit" ||
        fail "the audit does not know who wanted this, and why: $(on millwright millwright audit)"
    python3 -c '
import json, sqlite3, sys
words = sqlite3.connect(sys.argv[1]).execute("SELECT payload FROM journal WHERE kind = ?", ["declined"])
print(*sorted({(word["action"], word["code"]) for word in (json.loads(row[0]) for row in words)}))' \
        "$scratch/millwright/above/var/lib/millwright/copy.sqlite" >"$scratch/declined"
    for words in "'delete', 'node_protected'" "'rebuild', 'node_protected'" "'reboot', 'confirm_reboot'"; do
        grep -q "$words" "$scratch/declined" || fail "it is not on record that this was refused: $words: $(cat "$scratch/declined")"
    done
    say "the journal is whole; who wanted what is on record, and what was refused as well"
}

#!/bin/sh
# What cluster-test tells, step by step; each condition is waited for, and the seconds it took are printed.
# Sourced by site.sh, after the hosts are up and Puppet has installed Millwright everywhere.
# shellcheck shell=sh disable=SC2154,SC2086
set -eu

story() {
    installed
    lost_container
    renewed_certificate
    revoked_certificate
    another_version "upgrade, the coordinator first" "$newer"
    another_version "downgrade" "$older"
    removed
    by_hand
}

# ---- what can be seen

# The headline numbers of the dashboard, in a browser's place.
dashboard_says() { page / | grep -q "$1"; }

all_green() { dashboard_says ">$(set -- $nodes && echo $#) healthy<" && dashboard_says 'Nothing needs a human'; }

wait_all_green() {
    until_true 300 "all nodes are green on the dashboard" all_green
    say "   all nodes green on the dashboard after $waited s"
}

# How the coordinator sees a node: "healthy", "unknown", …
state_of() {
    on millwright millwright nodes --json | python3 -c '
import json, sys
for group in json.load(sys.stdin)["classes"]:
    for node in group["nodes"]:
        if node["name"] == sys.argv[1]:
            print(node["state"])' "$1"
}

is_sick() { [ "$(state_of "$1")" = sick ]; }

is_not_healthy() { [ "$(state_of "$1")" != healthy ]; }

# What an agent says of its coordinator: whether there is a problem, and when a report was last accepted.
is_away() { on "$1" millwright-agent status --json | grep -q '^    "problem"'; }

accepted_since() {
    on "$1" millwright-agent status --json | python3 -c '
import json, sys, time
contact = json.load(sys.stdin)["coordinator"]
age = contact.get("accepted_seconds_ago")
sys.exit(contact.get("problem") is not None or age is None or time.time() - age < float(sys.argv[1]))' "$2"
}

is_version() { [ "$(on "$1" dpkg-query -W -f '${Version}' "$2")" = "$3" ]; }

# Containers, their engine and ZooKeeper: when each was started, and as which process.
life_of() {
    on "$1" docker inspect --format '{{.Name}} {{.State.StartedAt}} {{.State.Pid}}' $(on "$1" docker ps --quiet --no-trunc)
    on "$1" systemctl show --property MainPID,NRestarts docker containerd zookeeper
}

remember_life() {
    for node in $nodes; do
        life_of "$node" >"$scratch/$node/life"
    done
}

nothing_was_disturbed() {
    for node in $nodes; do
        life_of "$node" >"$scratch/$node/life.now"
        cmp -s "$scratch/$node/life" "$scratch/$node/life.now" ||
            fail "$1 disturbed $node: $(diff "$scratch/$node/life" "$scratch/$node/life.now")"
    done
}

agent_process() { on "$1" systemctl show --property MainPID,NRestarts millwright-agent; }

# ---- the story

installed() {
    say "installed by Puppet"
    wait_all_green
    together changes_nothing millwright $nodes
    say "   a second run of Puppet changes nothing"
    page /metrics >/dev/null
    for node in $nodes; do
        page "/nodes/$node" | grep -q "$node" || fail "the dashboard has no page for $node"
    done
}

changes_nothing() {
    run_puppet "$1"
    [ "$changed" = no ] || fail "a second run of Puppet changed something on $1: $(cat "$scratch/$1/puppet.log")"
}

# What the coordinator was told of a container.
container_is() {
    on millwright millwright node "$1" --json | python3 -c '
import json, sys
containers = json.load(sys.stdin)["containers"]["containers"]
sys.exit([one["state"] for one in containers if one["name"] == sys.argv[1]] != [sys.argv[2]])' "$2" "$3"
}

lost_container() {
    say "a required container stops on alibuild01"
    on alibuild01 docker stop --time 1 docker-gc >/dev/null
    until_true 120 "the coordinator knows that docker-gc has stopped" container_is alibuild01 docker-gc exited
    say "   seen after $waited s"
    until_true 120 "the dashboard tells that docker-gc does not run" dashboard_says 'docker-gc is exited'
    say "   a warning on the dashboard after $waited s more"
    until_true 120 "alibuild01 counts as sick" is_sick alibuild01
    say "   counted as sick after $waited s more: it might have been between two runs"
    [ "$(state_of alibuild02)" = healthy ] || fail "alibuild02 is $(state_of alibuild02), and nothing happened to it"
    on alibuild01 docker start docker-gc >/dev/null
    wait_all_green
    remember_life
}

# Shows a certificate of alibuild01 to the coordinator.
knock() {
    on alibuild01 curl --silent --max-time 5 --cacert /var/lib/puppet/ssl/certs/ca.pem --cert "$1" --key "$2" \
        "https://millwright.$domain:8482/healthz"
}

is_shut_out() { ! knock "$@"; }

renewed_certificate() {
    say "alibuild01 gets a new certificate, and its old one is revoked"
    before=$(agent_process alibuild01)
    ssl=/var/lib/puppet/ssl
    on alibuild01 cp "$ssl/private_keys/alibuild01.$domain.pem" /root/old-key.pem
    on alibuild01 cp "$ssl/certs/alibuild01.$domain.pem" /root/old.pem
    knock /root/old.pem /root/old-key.pem >/dev/null || fail "the old certificate is not let in while it is good"
    forget alibuild01
    until_true 180 "the old certificate is shut out" is_shut_out /root/old.pem /root/old-key.pem
    say "   the old one shut out after $waited s"
    sign_anew alibuild01
    until_true 180 "a report of alibuild01 is accepted with the new certificate" accepted_since alibuild01 "$(date +%s)"
    say "   a report with the new one accepted $waited s after it came"
    [ "$(agent_process alibuild01)" = "$before" ] || fail "the agent of alibuild01 was started again"
    wait_all_green
    nothing_was_disturbed "a new certificate"
}

revoked_certificate() {
    say "alibuild02 is revoked"
    revoke alibuild02
    until_true 180 "alibuild02 is let in no more" is_away alibuild02
    say "   out after $waited s"
    until_true 180 "alibuild02 is no longer green" is_not_healthy alibuild02
    say "   no longer green after $waited s more; the others stay"
    for node in alimesos01 alibuild01; do
        [ "$(state_of "$node")" = healthy ] || fail "$node is $(state_of "$node"), and it was not revoked"
    done
    forget alibuild02
    sign_anew alibuild02
    say "   signed anew"
    wait_all_green
    nothing_was_disturbed "a revoked certificate"
}

another_version() {
    say "$1: $2 by Puppet"
    next_step "{ 'millwright::version': '$2' }"
    run_puppet millwright
    is_version millwright millwright-coordinator "$2" || fail "the coordinator's package is not $2"
    together run_puppet $nodes
    since=$(date +%s)
    for node in $nodes; do
        is_version "$node" millwright-agent "$2" || fail "the agent's package on $node is not $2"
        until_true 180 "a report of $node is accepted by the other version" accepted_since "$node" "$since"
    done
    wait_all_green
    nothing_was_disturbed "$1"
}

removed() {
    say "removed by Puppet"
    next_step "{ 'millwright::agent::ensure': 'absent', 'millwright::coordinator::ensure': 'absent' }"
    together run_puppet $nodes millwright
    for node in $nodes; do
        ! on "$node" test -e /usr/bin/millwright-agent || fail "$node still has the agent"
        on "$node" test -s /var/lib/millwright-agent/sequence || fail "$node has lost the agent's state"
        ! on "$node" systemctl is-active --quiet millwright-agent || fail "the agent of $node still runs"
    done
    ! on millwright test -e /usr/bin/millwright-coordinator || fail "the coordinator is still there"
    on millwright test -s /var/lib/millwright/coordinator.sqlite || fail "the coordinator's state is lost"
    nothing_was_disturbed "the removal"
    say "   programs gone, state kept, containers as they were"
}

# The chapter "Install by hand" of packaging/README.md, word for word; a person has an editor where this has sed.
by_hand() {
    say "purged, and installed by hand as packaging/README.md says"
    on millwright dpkg --purge millwright-coordinator millwright >"$scratch/by-hand.log" 2>&1
    on alibuild01 dpkg --purge millwright-agent >>"$scratch/by-hand.log" 2>&1
    on millwright sh -e -c '
        cd /srv/site/repository
        apt-get -q -y install "./millwright-coordinator_$1_amd64.deb" "./millwright_$1_amd64.deb"
        cp /srv/site/policy.toml /etc/millwright/policy.toml
        millwright policy check /etc/millwright/policy.toml
        cd /var/lib/puppet/ssl
        install -o root -g millwright -m 0640 "private_keys/$2.pem" /etc/millwright/key.pem
        install -m 0644 "certs/$2.pem" /etc/millwright/certificate.pem
        install -m 0644 certs/ca.pem crl.pem /etc/millwright/
        sed -i -e "s|^#agents = .*|agents = \"0.0.0.0:8482\"|" -e "s|^# certname = .*|certname = \"$2\"|" \
            -e "s|^# certificate = .*|certificate = \"/etc/millwright/certificate.pem\"|" \
            -e "s|^# key = .*|key = \"/etc/millwright/key.pem\"|" -e "s|^# ca = .*|ca = \"/etc/millwright/ca.pem\"|" \
            -e "s|^# crl = .*|crl = \"/etc/millwright/crl.pem\"|" /etc/millwright/coordinator.toml
        runuser -u millwright -- millwright-coordinator --check-config
        systemctl start millwright-coordinator
        millwright nodes' - "$older" "millwright.$domain" >>"$scratch/by-hand.log" 2>&1 ||
        fail "the coordinator by hand: $(tail -n 5 "$scratch/by-hand.log")"
    on alibuild01 sh -e -c '
        apt-get -q -y install "/srv/site/repository/millwright-agent_$1_amd64.deb"
        sed -i -e "s|^#class = .*|class = \"agent\"|" -e "s|^# url = \"https.*|url = \"https://$2:8482\"|" /etc/millwright/agent.toml
        millwright-agent --check-config
        systemctl start millwright-agent
        millwright-agent status' - "$older" "millwright.$domain" >>"$scratch/by-hand.log" 2>&1 ||
        fail "the agent by hand: $(tail -n 5 "$scratch/by-hand.log")"
    until_true 60 "a report of alibuild01 is accepted" accepted_since alibuild01 "$(date +%s)"
    say "   a report of alibuild01 accepted after $waited s"
}

#!/bin/sh
# Tries the Puppet module with a real Puppet and the real programs: checks and compiles it for several systems, applies
# it below a folder of its own, and looks at what is there afterwards. Where `make packages` has made packages, it
# installs those as well, in a copy of this machine's files. Needs root; no package, service or file of this machine is
# touched.
#
#     packaging/puppet/test.sh [FOLDER]     FOLDER: ready programs; without it target/debug
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=$(cd "${1:-${CARGO_TARGET_DIR:-$root/target}/debug}" && pwd)
packages=${CARGO_TARGET_DIR:-$root/target}/packages
module=$here/millwright
# What a run of Puppet is put behind: nothing, or a change into the copy.
within=
# Puppet says "changed" with 2.
changed=2

say() { echo "puppet-test: $*"; }

fail() {
    echo "puppet-test: $*" >&2
    [ ! -s "$scratch/log" ] || tail -n 20 "$scratch/log" >&2
    exit 1
}

# ---- Puppet, on its own

# What is read of this machine is replaced by $scratch/facts; nothing is read from or written to its own Puppet's folders.
puppet_apply() {
    set +e
    # shellcheck disable=SC2086 # several words
    $within puppet apply --confdir "$scratch/conf" --vardir "$scratch/var" --rundir "$scratch/run" --logdir "$scratch/log.d" \
        --publicdir "$scratch/public" --modulepath "$scratch/modules" --hiera_config "$scratch/hiera.yaml" \
        --pluginfactdest "$scratch/facts" --color false --detailed-exitcodes "$@" >"$scratch/log" 2>&1
    status=$?
    set -e
    # A deprecation or an unknown variable is a mistake of ours.
    ! grep -i -E '^warning|deprecat' "$scratch/log" | grep -v 'Skipping because of failed dependencies$' || fail "Puppet warns"
}

# be NAME GROUP [OS MAJOR FAMILY]: who this host is said to be.
be() {
    certname=$1
    cat >"$scratch/facts/host.json" <<EOF
{ "hostgroup": "$2",
  "networking": { "fqdn": "$1", "hostname": "${1%%.*}", "domain": "${1#*.}" },
  "os": { "name": "${3:-Debian}", "family": "${5:-Debian}", "release": { "major": "${4:-12}", "full": "${4:-12}" } } }
EOF
}

# levels YAML: the levels of hiera that the examples have, below one for this test and one for a single run.
levels() {
    sed -e "s|datadir: .*|datadir: '$module/examples/hiera'|" \
        -e "s|^hierarchy:|hierarchy:\n  - { name: 'run', path: '$scratch/own.yaml' }\n  - { name: 'test', path: '$scratch/place.yaml' }|" \
        "$module/examples/hiera/hiera.yaml" >"$scratch/hiera.yaml"
    printf '%s\n' "$1" >"$scratch/place.yaml"
    own '{}'
}

# own YAML: what hiera says for the next runs.
own() { printf '%s\n' "$1" >"$scratch/own.yaml"; }

# expect STATUS WHAT: how the last run ended.
expect() {
    [ "$status" = "$1" ] || fail "$2: Puppet ended with $status instead of $1"
    say "ok: $2"
}

# ---- checks of the text

lint() {
    puppet parser validate "$module" || fail "puppet parser validate"
    puppet epp validate "$module"/templates/*.epp || fail "puppet epp validate"
    puppet-lint --fail-on-warnings "$module" || fail "puppet-lint"
    sh -n "$module/facts.d/millwright.sh" || fail "the fact script is no shell script"
    python3 -m json.tool "$module/metadata.json" >/dev/null || fail "metadata.json is no JSON"
    cmp "$module/files/policy.alice.toml" "$root/packaging/coordinator/etc/millwright/policy.alice.toml" ||
        fail "the module's ALICE policy is not the packaged one: copy it"
    # Functions that Puppet 4.10 does not have: `f(…)` or `.f`.
    later='(join|flatten|any|all|index|keys|values|empty|length|size|sort|unique|upcase|downcase|capitalize|strip|max|min|get)'
    ! grep -r -n -E "(^|[^\$_a-z:])$later\(|\.$later\>" --include=*.pp --include=*.epp "$module/manifests" "$module/functions" \
        "$module/templates" | grep -v ':[0-9]*: *#' || fail "what Puppet 4.10 does not know"
    # Other modules purge these.
    ! grep -r -n -E '/etc/(mesos|docker)' "$module/manifests" "$module/templates" "$module/data" || fail "writes where others purge"
    say "ok: parser, templates, lint, policy"
}

# every_parameter_is_told: in the README, and with a default in data/common.yaml.
every_parameter_is_told() {
    for manifest in "$module"/manifests/*.pp; do
        class=$(sed -n 's/^class \([a-z:]*\) .*/\1/p' "$manifest")
        for parameter in $(sed -n 's/^# @param \([a-z_]*\)$/\1/p' "$manifest"); do
            grep -q "\`$class::$parameter\`" "$module/README.md" || fail "README.md does not tell $class::$parameter"
            [ "$class::$parameter" = millwright::coordinator::host ] ||
                grep -q "^$class::$parameter:" "$module/data/common.yaml" || fail "$class::$parameter has no default"
        done
    done
    say "ok: every parameter has a default and a line in README.md"
}

# ---- catalogs

# A certificate authority, a host and a list of what is revoked, laid out as Puppet does.
certificates() {
    ssl=$scratch/ssl
    mkdir -p "$ssl/certs" "$ssl/private_keys"
    : >"$ssl/index"
    echo 01 >"$ssl/number"
    cat >"$ssl/ca.conf" <<EOF
[ca]
default_ca = site
[site]
database = $ssl/index
default_md = sha256
default_crl_days = 30
crlnumber = $ssl/number
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
[host]
subjectAltName = DNS:$1
EOF
    {
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj "/CN=Puppet CA: test" -keyout "$ssl/ca.key" -out "$ssl/certs/ca.pem"
        openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$ssl/private_keys/$1.pem" -out "$ssl/request"
        openssl x509 -req -in "$ssl/request" -CA "$ssl/certs/ca.pem" -CAkey "$ssl/ca.key" -CAcreateserial -days 30 \
            -extfile "$ssl/ca.conf" -extensions host -out "$ssl/certs/$1.pem"
        openssl ca -config "$ssl/ca.conf" -gencrl -keyfile "$ssl/ca.key" -cert "$ssl/certs/ca.pem" -out "$ssl/crl.pem"
    } >"$scratch/log" 2>&1 || fail "make certificates"
    # As Puppet has it: its key is root's.
    chmod 0600 "$ssl/private_keys/$1.pem"
    chmod 0750 "$ssl/private_keys"
}

catalogs() {
    levels "millwright::coordinator::puppet_ssl: '$scratch/ssl'"
    for system in "Debian 12 Debian" "CentOS 7 RedHat" "AlmaLinux 9 RedHat" "Ubuntu 18.04 Debian"; do
        for host in "alibuild10 slave" "alibuild03 slave" "alimesos01 master"; do
            # shellcheck disable=SC2086 # several words each
            set -- $host $system
            be "$1.cern.ch" "alibuild/mesos/$2" "$3" "$4" "$5"
            # The coordinator's class may be included everywhere.
            cat "$module/examples/alibuild_mesos_$2.pp" "$module/examples/alibuild_coordinator.pp" >"$scratch/site.pp"
            puppet_apply --certname "$certname" --noop "$scratch/site.pp"
            expect 0 "a dry run for $1 on $3 $4"
            would 'Package\[millwright-agent\]' 'File\[/etc/millwright/agent.toml\]' 'Service\[millwright-agent\]'
            grep -q 'does nothing on' "$scratch/log" || fail "it does not say that there is no coordinator"
            ! grep -q 'noop.*coordinator\|coordinator.*noop' "$scratch/log" || fail "a coordinator where none belongs"
        done
        # shellcheck disable=SC2086 # several words
        set -- $system
        be alibuild-coordinator.cern.ch alibuild "$1" "$2" "$3"
        cat "$module"/examples/alibuild_mesos_slave.pp "$module/examples/alibuild_coordinator.pp" >"$scratch/site.pp"
        puppet_apply --certname "$certname" --noop "$scratch/site.pp"
        expect 0 "a dry run for the coordinator, which is a node as well, on $1 $2"
        would 'Package\[millwright-coordinator\]' 'Package\[millwright\]' 'File\[/etc/millwright/policy.toml\]' \
            'File\[/etc/millwright/coordinator.toml\]' 'File\[/etc/millwright/key.pem\]' 'Service\[millwright-coordinator\]'
    done
}

# would RESOURCE...: the last dry run named each, and no file outside of /etc/millwright.
would() {
    for resource in "$@"; do
        grep -q "$resource.*(noop)" "$scratch/log" || fail "$resource would not be changed"
    done
    ! grep -o 'File\[[^]]*\]' "$scratch/log" | grep -v '^File\[/etc/millwright[]/]' || fail "files elsewhere"
}

# ---- applied, below $scratch

# Below $scratch, with services that write down what is asked of them.
settle() {
    levels "
millwright::config_dir: '$scratch/etc'
millwright::bin_dir: '$scratch/bin'
millwright::manage_package: false
millwright::coordinator::user: 'nobody'
millwright::coordinator::group: 'nogroup'
millwright::coordinator::puppet_ssl: '$scratch/ssl'
millwright::coordinator::settings: { host: 'alibuild-coordinator', state_dir: '$scratch/state' }"
    rm -rf "$scratch/etc" "$scratch/services"
    mkdir "$scratch/services"
    cat >"$scratch/services.pp" <<EOF
Service<| |> { provider => 'base', status => 'false' }
Service<| title == 'millwright-agent' |> {
  status => 'test -e $scratch/services/agent', start => 'echo start >>$scratch/services/agent',
  restart => 'echo restart >>$scratch/services/agent', stop => 'rm $scratch/services/agent',
}
Service<| title == 'millwright-coordinator' |> {
  status => 'test -e $scratch/services/coordinator', start => 'echo start >>$scratch/services/coordinator',
  restart => 'echo restart >>$scratch/services/coordinator', stop => 'rm $scratch/services/coordinator',
}
EOF
}

# run CLASS...
run() {
    printf 'include millwright::%s\n' "$@" | cat - "$scratch/services.pp" >"$scratch/site.pp"
    puppet_apply --certname "$certname" "$scratch/site.pp"
}

# was SERVICE WORDS: what has been asked of it so far.
was() {
    found=$(tr '\n' ' ' <"$scratch/services/$1")
    [ "$found" = "$2 " ] || fail "asked of the service: $found, instead of $2"
}

# is_kept FILE: it is what it was before.
keep() { cp "$scratch/etc/$1" "$scratch/before"; }
is_kept() {
    cmp "$scratch/etc/$1" "$scratch/before" || fail "$1 was replaced by a bad one"
    [ "$(echo "$scratch/etc/$1"*)" = "$scratch/etc/$1" ] || fail "a refused file is left behind"
}

# looks FILE MODE: owner, group and mode.
looks() {
    found=$(stat -c '%a %U:%G' "$scratch/etc/$1")
    [ "$found" = "$2" ] || fail "$1 is $found instead of $2"
}

agent_applied() {
    settle
    for host in "alibuild10 slave" "alibuild03 slave" "alibuild09 slave" "alimesos01 master"; do
        be "${host% *}.cern.ch" "alibuild/mesos/${host#* }"
        rm -rf "$scratch/etc" "$scratch/services/agent"
        run agent
        expect "$changed" "the agent on ${host% *}: a first run"
        run agent
        expect 0 "the agent on ${host% *}: a second run changes nothing"
        was agent start
    done
    looks agent.toml '644 root:root'
    [ "$(ls -A "$scratch/etc")" = agent.toml ] || fail "more than agent.toml was written"
    grep -q '^url = "https://alibuild-coordinator.cern.ch:8482"$' "$scratch/etc/agent.toml" || fail "no coordinator"

    own 'millwright::agent::settings: { coordinator: { report_every: "20s" } }'
    run agent
    expect "$changed" "the agent: a changed setting"
    was agent 'start restart'

    keep agent.toml
    for bad in '{ coordinator: { report_every: "soon" } }' '{ coordinator: { report_evry: "20s" } }' '{ status: { listen: "0.0.0.0:80" } }'; do
        own "millwright::agent::settings: $bad"
        run agent
        expect 4 "the agent: $bad is refused"
        is_kept agent.toml
        was agent 'start restart'
    done

    own 'millwright::agent::cluster: 9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f70'
    run agent
    expect "$changed" "the agent: a pinned cluster"
    grep -q '^cluster = "9b2f6c1e-4a57-4d38-8f10-2b3c4d5e6f70"$' "$scratch/etc/agent.toml" || fail "no cluster"
    own 'millwright::agent::cluster: lab'
    run agent
    expect 1 "the agent: a cluster that is no UUID is refused"

    own "millwright::agent::settings: { checks: { mounts: { paths: ['/cvmfs/grid.cern.ch', '--/cvmfs/alice.cern.ch'] } } }"
    be alibuild10.cern.ch alibuild/mesos/slave
    run agent
    expect "$changed" "the agent: a host adds to the list of its group, and takes out of it"
    grep -q '^paths = \["/cvmfs/grid.cern.ch"\]$' "$scratch/etc/agent.toml" || fail "the lists do not add up"

    own 'millwright::agent::ensure: absent'
    run agent
    expect "$changed" "the agent: taken away"
    [ ! -e "$scratch/etc/agent.toml" ] || fail "agent.toml is still there"
    run agent
    expect 0 "the agent: taken away twice"
}

# The text comes back from a reader of TOML as it was in hiera, and the real agent takes it.
nasty_text() {
    settle
    be alibuild10.cern.ch none
    cat >"$scratch/own.yaml" <<'EOF'
{ "millwright::agent::settings": {
  "node": { "name": "alibuild10.cern.ch" },
  "coordinator": { "report_every": "1500ms", "retry_at_most": "6h", "certname": null },
  "checks": {
    "system": { "enabled": false, "memory_available_percent": 7, "load_above_cpus": 2.5 },
    "volumes": { "expected": [ { "mount": "/build \"x\"", "size": "500GiB", "uuid": null }, { "mount": "/a\\b" } ] },
    "mounts": { "paths": [] },
    "certificate": { "paths": [ "/a \"quoted\" one", "/back\\slash\\n", "/new\nline", "/return\r", "/tab\t", "/h\u00e9 \u4e16 😀",
      "/#no comment", "/%{literal('%')}{x} ${y} $z", "/'single'", "/\\\"", "/\\\\", "/]", "/\u00a0" ] } } } }
EOF
    run agent
    expect "$changed" "nasty text is taken by the real agent"
    python3 - "$scratch/etc/agent.toml" "$scratch/own.yaml" <<'EOF' || fail "the text is not what hiera says"
import json, sys, tomllib

def without_nothing(value):
    if isinstance(value, dict):
        return {key: without_nothing(below) for key, below in value.items() if below is not None}
    if isinstance(value, list):
        return [without_nothing(item) for item in value]
    # Hiera's own way to write a percent sign before a brace.
    return value.replace("%{literal('%')}", "%") if isinstance(value, str) else value

read = tomllib.load(open(sys.argv[1], "rb"))
wanted = without_nothing(json.load(open(sys.argv[2]))["millwright::agent::settings"])
wanted["coordinator"]["url"] = "https://alibuild-coordinator.cern.ch:8482"
if read != wanted:
    sys.exit(f"{read}\n{wanted}")
EOF
    own '{ "millwright::agent::settings": { "node": { "name": "bell\u0007" } } }'
    run agent
    [ "$status" = 1 ] && grep -q 'control character' "$scratch/log" || fail "a control character is not refused"
    say "ok: a control character is refused"
}

coordinator_applied() {
    settle
    be alibuild-coordinator.cern.ch alibuild
    run coordinator
    expect "$changed" "the coordinator: a first run, with the ALICE policy and Puppet's certificates"
    run coordinator
    expect 0 "the coordinator: a second run changes nothing"
    was coordinator start
    looks coordinator.toml '640 root:nogroup'
    looks key.pem '640 root:nogroup'
    looks policy.toml '644 root:nogroup'
    cmp "$scratch/etc/policy.toml" "$module/files/policy.alice.toml" || fail "policy.toml is not the ALICE policy"
    cmp "$scratch/etc/key.pem" "$scratch/ssl/private_keys/$certname.pem" || fail "key.pem is not the key"

    ! grep -q crl_url "$scratch/etc/coordinator.toml" || fail "crl_url where none is given"

    own 'millwright::coordinator::settings: { retention: { audit: "500d" } }'
    run coordinator
    expect "$changed" "the coordinator: a changed setting"
    was coordinator 'start restart'

    keep coordinator.toml
    for bad in '{ mesos: { every: "soon" } }' '{ listen: { operators: "everywhere" } }' '{ state_dir: "here" }' '{ host: "other" }' \
        "{ tls: { key: '$scratch/ssl/private_keys/$certname.pem' } }"; do
        own "millwright::coordinator::settings: $bad"
        run coordinator
        expect 4 "the coordinator: $bad is refused"
        is_kept coordinator.toml
        was coordinator 'start restart'
    done

    keep policy.toml
    own "{ millwright::coordinator::policy_source: ~, millwright::coordinator::policy_content: 'zones = 3' }"
    run coordinator
    [ "$status" = 4 ] || [ "$status" = 6 ] || fail "a bad policy is taken"
    is_kept policy.toml
    say "ok: the coordinator: a bad policy is refused"
    sed 's/^name = "build"/name = "other"/' "$module/files/policy.alice.toml" >"$scratch/policy.toml"
    own "{ millwright::coordinator::policy_source: '$scratch/policy.toml', millwright::coordinator::settings: { retention: { audit: '500d' } } }"
    run coordinator
    expect "$changed" "the coordinator: a changed policy"
    was coordinator 'start restart'

    own "millwright::coordinator::crl_url: 'https://puppet:8140/puppet-ca/v1/certificate_revocation_list/ca'"
    run coordinator
    expect "$changed" "the coordinator: the list of revoked certificates is fetched"
    grep -q '^crl_url = "https://puppet:8140/' "$scratch/etc/coordinator.toml" || fail "no crl_url"

    own '{ millwright::coordinator::ensure: absent }'
    run coordinator
    expect "$changed" "the coordinator: taken away"
    [ "$(ls -A "$scratch/etc")" = policy.toml ] || fail "what is left is not the policy alone"
    run coordinator
    expect 0 "the coordinator: taken away twice"
    be alibuild10.cern.ch alibuild/mesos/slave
    own '{}'
    run coordinator
    expect 0 "no coordinator on another host"
}

# ---- packages

# This machine's files again, what is written to them in memory, and a repository with two versions of each package.
copy() {
    mkdir "$scratch/memory"
    mount -t tmpfs none "$scratch/memory"
    mkdir "$scratch/memory/above" "$scratch/memory/work" "$scratch/memory/root"
    copy=$scratch/memory/root
    mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/memory/above,workdir=$scratch/memory/work" "$copy"
    mount -t proc proc "$copy/proc"
    mount --rbind /dev "$copy/dev"
    mkdir -p "$copy$scratch"
    mount --bind "$scratch" "$copy$scratch"

    "$root/tests/lab/repository.sh" "$packages" "$scratch/repository"
    # What this machine may have of ours.
    rm -rf "$copy/etc/millwright" "$copy/var/lib/millwright" "$copy/var/lib/millwright-agent"
    rm -f "$copy"/etc/apt/sources.list.d/*
    echo "deb [trusted=yes] file:$scratch/repository ./" >"$copy/etc/apt/sources.list"
    chroot "$copy" apt-get -q update >"$scratch/log" 2>&1 || fail "apt-get update in the copy"
}

# installed VERSION: all three packages.
installed() {
    for package in millwright millwright-agent millwright-coordinator; do
        # shellcheck disable=SC2016 # dpkg's own
        found=$(chroot "$copy" dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$package")
        [ "$found" = "ii $1" ] || fail "$package is $found instead of $1"
    done
}

packages_applied() {
    set -- "$packages"/millwright-agent_*.deb
    if [ ! -e "$1" ]; then
        say "not tried: installing packages, since there are none in $packages; make packages"
        return
    fi
    version=$(dpkg-deb -f "$1" Version)
    copy
    settle
    levels "
millwright::version: '$version'
millwright::coordinator::puppet_ssl: '$scratch/ssl'
millwright::coordinator::settings: { host: 'alibuild-coordinator' }"
    be alibuild-coordinator.cern.ch alibuild
    within="chroot $copy"
    run coordinator agent
    expect "$changed" "packages: a first run installs $version on the coordinator's host"
    installed "$version"
    for file in 'coordinator.toml 640 root:millwright' 'key.pem 640 root:millwright' 'policy.toml 644 root:millwright' 'agent.toml 644 root:root'; do
        found=$(chroot "$copy" stat -c '%a %U:%G' "/etc/millwright/${file%% *}")
        [ "$found" = "${file#* }" ] || fail "${file%% *} is $found"
    done
    was agent start
    was coordinator start
    run coordinator agent
    expect 0 "packages: a second run changes nothing"

    own "{ millwright::version: 'latest' }"
    run coordinator agent
    expect "$changed" "packages: an upgrade"
    installed 99-1
    run coordinator agent
    expect 0 "packages: a second run with 'latest' changes nothing"
    own '{}'
    run coordinator agent
    expect "$changed" "packages: back to $version"
    installed "$version"
    # The packages' own scripts restart what runs.
    was agent start

    own "{ millwright::coordinator::ensure: absent, millwright::agent::ensure: absent }"
    run coordinator agent
    expect "$changed" "packages: taken away"
    [ ! -e "$copy/usr/bin/millwright-agent" ] && [ ! -e "$copy/usr/bin/millwright-coordinator" ] || fail "programs are still there"
    run coordinator agent
    expect 0 "packages: taken away twice"
    within=
}

# ---- facts

facts() {
    fact=$module/facts.d/millwright.sh
    [ -x "$fact" ] || fail "the fact script cannot be executed"
    [ -z "$(MILLWRIGHT_AGENT=/nowhere "$fact")" ] || fail "facts without an agent"

    printf '[status]\nlisten = "127.0.0.1:0"\n[paths]\nstate = "%s"\n[prepull]\nimages = []\n' "$scratch/agent-state" >"$scratch/agent.toml"
    "$scratch/bin/millwright-agent" --config "$scratch/agent.toml" run >"$scratch/agent.log" 2>&1 &
    agent=$!
    tries=100
    until url=$(grep -o 'http://127.0.0.1:[0-9]*' "$scratch/agent.log" | head -n 1) && [ -n "$url" ]; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$scratch/agent.log" >&2; fail "the agent does not say where it listens"; }
        sleep 0.1
    done
    printf '#!/bin/sh\ncase $1 in status) set -- "$@" --url %s ;; esac\nexec %s --config %s "$@"\n' \
        "$url" "$scratch/bin/millwright-agent" "$scratch/agent.toml" >"$scratch/agent"
    chmod 755 "$scratch/agent"
    found=$(MILLWRIGHT_AGENT=$scratch/agent "$fact" | tr '\n' ' ')
    case $found in
    millwright_version=[0-9]*.[0-9]*' millwright_worst='[a-z]*) ;;
    *) fail "the facts of a running agent are $found" ;;
    esac
    case $found in *unknown*) fail "the worst finding of a running agent is not told" ;; esac
    kill "$agent"
    wait "$agent" || true
    agent=
    MILLWRIGHT_AGENT=$scratch/agent "$fact" | grep -q '^millwright_worst=unknown$' || fail "a stopped agent is not unknown"

    printf '#!/bin/sh\nexec sleep 600\n' >"$scratch/agent"
    [ -z "$(MILLWRIGHT_AGENT=$scratch/agent timeout 60 "$fact" 2>/dev/null)" ] || fail "facts of an agent that hangs"
    say "ok: facts"
}

# ----

[ "$(id -u)" = 0 ] || {
    echo "puppet-test: needs root, to give files to others" >&2
    exit 1
}
# Mounts of its own, for the copy: they go when it ends.
[ ! -d "$packages" ] || [ -n "${MILLWRIGHT_PUPPET_TEST:-}" ] || MILLWRIGHT_PUPPET_TEST=inside exec unshare --mount "$0" "$@"
"$root/tests/lab/needs.sh" puppet puppet-lint python3 openssl runuser
for program in millwright-agent millwright-coordinator millwright; do
    [ -x "$programs/$program" ] || {
        echo "puppet-test: there is no $programs/$program: make build" >&2
        exit 1
    }
done

finish() {
    [ -z "$agent" ] || kill "$agent" 2>/dev/null || true
    # First of all the mounts: behind them is this machine.
    ! mountpoint -q "$scratch/memory" || umount -R "$scratch/memory" || {
        echo "puppet-test: $scratch stays: it cannot be unmounted" >&2
        return
    }
    rm -rf --one-file-system "$scratch"
}

scratch=$(mktemp -d)
agent=
trap finish EXIT
trap 'exit 1' INT TERM
chmod 755 "$scratch"
mkdir "$scratch/modules" "$scratch/facts" "$scratch/bin"
cp -r "$module" "$scratch/modules/"
# Where everybody may execute them; a link is not enough below a home.
for program in millwright-agent millwright-coordinator millwright; do
    cp -l "$programs/$program" "$scratch/bin/" 2>/dev/null || cp "$programs/$program" "$scratch/bin/"
done

lint
every_parameter_is_told
certificates alibuild-coordinator.cern.ch
catalogs
agent_applied
nasty_text
coordinator_applied
packages_applied
facts
say "good, with Puppet $(puppet --version)"

#!/bin/sh
# Installs, upgrades, downgrades, removes and purges the packages in fresh Debian roots, the .deb with dpkg and the .rpm
# with rpm, and looks at what is there afterwards. Needs root; no service of this machine is touched.
#
# What it cannot show: rpm 4.11 and systemd 219 themselves. For those it looks at what the .rpm asks of rpm, and the
# repository's tests at the units' keys. Instead of systemd a fake `systemctl` writes down what the packages' scripts
# ask of it; real services are started by the cluster test.
#
#     packaging/test-packages.sh [FOLDER]     FOLDER: ready programs; without it build.sh builds them
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")

say() { echo "packages-test: $*"; }

fail() {
    echo "packages-test: $*" >&2
    exit 1
}

finish() {
    status=$?
    trap - EXIT INT TERM
    [ "$status" -eq 0 ] || [ ! -s "$scratch/log" ] || tail -n 20 "$scratch/log" >&2
    rm -rf "$scratch"
    exit "$status"
}

# ---- roots

# A minimal Debian.
fresh_root() {
    tarball=$("$root/tests/lab/minbase.sh")
    target=$scratch/$1
    mkdir "$target"
    tar -C "$target" -xf "$tarball" --exclude='./dev/*'
    mkdir -p "$target/run/systemd/system"
    install -m 0755 /dev/stdin "$target/usr/bin/systemctl" <<'EOF'
#!/bin/sh
# Writes down what is asked of systemd; a unit is active if /active/UNIT exists.
echo "$*" >>/systemctl.log
[ "$1" != is-active ] || [ -e "/active/$3" ]
EOF
    : >"$target/systemctl.log"
    mkdir "$target/active"
}

inside() { chroot "$target" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C DEBIAN_FRONTEND=noninteractive "$@"; }

# ---- what is there

# "mode user group" of a path.
has() {
    found=$(inside stat -c '%a %U %G' "$1" 2>/dev/null) || fail "$what: $1 is not there"
    [ "$found" = "$2" ] || fail "$what: $1 is $found and should be $2"
}

lacks() { ! [ -e "$target$1" ] && ! [ -L "$target$1" ] || fail "$what: $1 is still there"; }

contains() { grep -q -- "$2" "$target$1" || fail "$what: $1 does not say: $2"; }

contains_not() { ! grep -q -- "$2" "$target$1" || fail "$what: $1 says: $2"; }

is_enabled() { [ -L "$target$wants/$1.service" ]; }

# What systemd was told to do since the last time is exactly this; sorted, since packages come in any order.
systemd_was_told() {
    told=$(grep -v -e '^daemon-reload$' -e '^is-active ' "$target/systemctl.log" | LC_ALL=C sort | tr '\n' ';')
    [ "$told" = "$1" ] || fail "$what: systemd was told '$told' and should have been told '$1'"
    : >"$target/systemctl.log"
}

everything_is_there() {
    for program in millwright millwright-agent millwright-coordinator; do
        has "/usr/bin/$program" "755 root root"
        inside "$program" --version | grep -q "^$program $version$" || fail "$what: $program --version"
        has "/usr/share/doc/$program/$licence" "644 root root"
        has "/usr/share/doc/$program/third-party-licences.gz" "644 root root"
        has "/usr/share/doc/$program/changelog.gz" "644 root root"
        has "/usr/share/doc/$program/sbom.cdx.json" "644 root root"
        has "/usr/share/bash-completion/completions/$program" "644 root root"
        has "/usr/share/zsh/site-functions/_$program" "644 root root"
        has "/usr/share/fish/vendor_completions.d/$program.fish" "644 root root"
    done
    has /usr/share/man/man1/millwright.1.gz "644 root root"
    has /usr/share/doc/millwright/manual/README.md "644 root root"
    for program in millwright-agent millwright-coordinator; do
        has "/usr/share/man/man8/$program.8.gz" "644 root root"
        has "/usr/share/man/man5/$program.toml.5.gz" "644 root root"
        has "/usr/lib/systemd/system/$program.service" "644 root root"
        has "/usr/lib/systemd/system/$program.service.d/hardening.conf" "644 root root"
    done
    # Started by the agent alone.
    has /usr/lib/systemd/system/millwright-puppet-run.service "644 root root"
    ! is_enabled millwright-puppet-run || fail "$what: runs of Puppet start with the machine"
    has /usr/share/man/man5/millwright-policy.toml.5.gz "644 root root"
    has /etc/millwright "755 root root"
    has /etc/millwright/agent.toml "644 root root"
    has /etc/millwright/coordinator.toml "640 root millwright"
    has /etc/millwright/policy.alice.toml "644 root root"
    has /var/lib/millwright "750 millwright millwright"
    has /var/lib/millwright-agent "700 root root"
    inside getent passwd millwright | grep -q ':/var/lib/millwright:/usr/sbin/nologin$' || fail "$what: the user millwright"
    inside millwright-agent --check-config >/dev/null || fail "$what: the shipped agent.toml is not good"
}

state_is_there() {
    contains /var/lib/millwright/coordinator.sqlite "what happened"
    contains /var/lib/millwright-agent/sequence 42
    contains /var/lib/millwright-agent/memory "carried out"
}

# ---- the life of the packages, told once for both kinds

install_older() { "install_$kind" "$older"; }

install_newer() { "install_$kind" "$newer"; }

install_deb() {
    cp "$1"/*.deb "$target/tmp/"
    # What apt says for "keep what was edited".
    # The root is too small to have certificate authorities; nothing here needs them.
    inside sh -c 'dpkg --ignore-depends=ca-certificates --force-confdef --force-confold -i /tmp/*.deb && rm /tmp/*.deb' >"$scratch/log" 2>&1 ||
        fail "$what: dpkg ended with an error"
}

remove_deb() { inside dpkg -r millwright millwright-agent millwright-coordinator >"$scratch/log" 2>&1 || fail "$what: dpkg"; }

# The root is Debian's: rpm has to be told that it means it, and nothing says to it that there is a libc.
into_root() { rpm --force-debian --root "$target" --dbpath /var/lib/rpm "$@" >"$scratch/log" 2>&1; }

install_rpm() {
    into_root --nodeps -U --oldpackage "$1"/*.rpm || fail "$what: rpm ended with an error"
    ! grep -q -e '^error' -e 'scriptlet failed' -e 'does not exist' "$scratch/log" || fail "$what: rpm complained"
}

remove_rpm() {
    into_root -e millwright millwright-agent millwright-coordinator || fail "$what: rpm ended with an error"
}

first_installation() {
    what="$kind, first installation"
    install_older
    everything_is_there
    systemd_was_told ""
    is_enabled millwright-agent && is_enabled millwright-coordinator || fail "$what: the services are not enabled"
    inside test -f "$wants/millwright-agent.service" || fail "$what: the agent is enabled by a link to nothing"
}

upgrade_of_running_services() {
    what="$kind, upgrade of running services"
    sed -i 's/^# name = .*/name = "edited01"/' "$target/etc/millwright/agent.toml"
    echo "what happened" >"$target/var/lib/millwright/coordinator.sqlite"
    echo 42 >"$target/var/lib/millwright-agent/sequence"
    echo "carried out" >"$target/var/lib/millwright-agent/memory"
    # As an administrator would: this one shall not start by itself.
    rm "$target$wants/millwright-coordinator.service"
    # There is no policy, so the new coordinator would not start.
    touch "$target/active/millwright-agent.service" "$target/active/millwright-coordinator.service"
    install_newer
    everything_is_there
    contains /etc/millwright/agent.toml edited01
    contains_not /etc/millwright/agent.toml "newer than before"
    # Nobody had edited this one.
    contains /etc/millwright/coordinator.toml "newer than before"
    state_is_there
    # The coordinator's configuration is not good: the old program goes on.
    systemd_was_told "restart millwright-agent.service;"
    ! is_enabled millwright-coordinator || fail "$what: a service that was disabled is enabled again"
    is_enabled millwright-agent || fail "$what: the agent is no longer enabled"
}

downgrade_with_a_broken_configuration() {
    what="$kind, downgrade with a broken configuration"
    echo 'nonsense' >>"$target/etc/millwright/agent.toml"
    rm "$target/active/millwright-coordinator.service"
    install_older
    grep -q "the old version keeps running" "$scratch/log" || fail "$what: nothing was said about the configuration"
    sed -i '/^nonsense$/d' "$target/etc/millwright/agent.toml"
    everything_is_there
    contains /etc/millwright/agent.toml edited01
    contains_not /etc/millwright/coordinator.toml "newer than before"
    state_is_there
    systemd_was_told ""
}

removal() {
    what="$kind, removal"
    "remove_$kind"
    systemd_was_told "stop millwright-agent.service;stop millwright-coordinator.service;"
    for path in /usr/bin/millwright /usr/bin/millwright-agent /usr/bin/millwright-coordinator /usr/share/doc/millwright \
        /usr/lib/systemd/system/millwright-agent.service /usr/lib/systemd/system/millwright-agent.service.d \
        /usr/lib/systemd/system/millwright-puppet-run.service; do
        lacks "$path"
    done
    state_is_there
    inside getent passwd millwright >/dev/null || fail "$what: the user is gone, and files of his are left"
}

life_of_debs() {
    kind=deb licence=copyright
    fresh_root deb
    first_installation
    upgrade_of_running_services
    downgrade_with_a_broken_configuration
    removal
    contains /etc/millwright/agent.toml edited01
    what="deb, back after a removal"
    install_newer
    state_is_there
    contains /etc/millwright/agent.toml edited01
    ! is_enabled millwright-coordinator || fail "$what: a service that was disabled is enabled again"
    what="deb, purge"
    : >"$target/systemctl.log"
    inside dpkg -P millwright millwright-agent millwright-coordinator >"$scratch/log" 2>&1 || fail "$what: dpkg"
    for path in /etc/millwright /var/lib/millwright /var/lib/millwright-agent "$wants/millwright-agent.service"; do
        lacks "$path"
    done
    rm -rf "$target"
}

life_of_rpms() {
    kind=rpm licence=LICENSE
    fresh_root rpm
    first_installation
    upgrade_of_running_services
    [ -e "$target/etc/millwright/agent.toml.rpmnew" ] || fail "$what: the new agent.toml is not laid beside the edited one"
    downgrade_with_a_broken_configuration
    removal
    contains /etc/millwright/agent.toml.rpmsave edited01
    lacks "$wants/millwright-agent.service"
    rm -rf "$target"
}

# ---- what can be seen without installing

check_rpms() {
    say "what the .rpm asks of rpm"
    for package in "$older"/*.rpm; do
        what=$(basename "$package")
        strange=$(rpm -qp --requires "$package" | grep '^rpmlib(' |
            grep -v -e '^rpmlib(CompressedFileNames) <= 3.0.4-1$' -e '^rpmlib(FileDigests) <= 4.6.0-1$' \
                -e '^rpmlib(PayloadFilesHavePrefix) <= 4.0-1$') || true
        [ -z "$strange" ] || fail "$what: rpm 4.11 does not know $strange"
        payload=$(rpm -qp --qf '%{PAYLOADCOMPRESSOR}' "$package")
        [ "$payload" = gzip ] || fail "$what: its payload is $payload; promised is gzip"
    done
}

check_with_linters() {
    if command -v lintian >/dev/null; then
        say "lintian"
        lintian --fail-on error --display-level error --allow-root "$older"/*.deb || fail "lintian found errors"
    else
        say "skipped: lintian is not installed"
    fi
    if command -v rpmlint >/dev/null; then
        say "rpmlint"
        rpmlint "$older"/*.rpm >"$scratch/rpmlint" 2>&1 || true
        # A site signs with its own key. What is not for everybody's eyes is so on purpose.
        wrong=$(grep ': E: ' "$scratch/rpmlint" | grep -v -e ': no-signature$' -e ': non-standard-dir-perm /var/lib/millwright' \
            -e ': non-readable /etc/millwright/coordinator.toml') || true
        [ -z "$wrong" ] || fail "rpmlint: $wrong"
    else
        say "skipped: rpmlint is not installed"
    fi
}

check_units() {
    command -v systemd-analyze >/dev/null || { say "skipped: systemd-analyze is not installed" && return; }
    say "systemd-analyze verify, on $(systemd-analyze --version | head -n 1)"
    mkdir "$scratch/units"
    for package in "$older"/millwright-*.tar.gz; do
        tar -C "$scratch/units" -xzf "$package"
    done
    for program in millwright-agent millwright-puppet-run millwright-coordinator; do
        # It looks for the program where the unit says, which is not where it is here.
        sed -i "s#=/usr/bin/$program#=$scratch/units/usr/bin/$program#" "$scratch/units/usr/lib/systemd/system/$program.service"
        wrong=$(systemd-analyze verify --man=no "$scratch/units/usr/lib/systemd/system/$program.service" 2>&1) || true
        [ -z "$wrong" ] || fail "$program.service: $wrong"
    done
}

check_pages_and_completions() {
    say "manual pages and completions"
    if command -v man >/dev/null; then
        find "$scratch/units/usr/share/man" -type f | while read -r page; do
            wrong=$(LC_ALL=C.UTF-8 MANWIDTH=200 man --warnings -l "$page" 2>&1 >/dev/null)
            [ -z "$wrong" ] || fail "$(basename "$page"): $wrong"
        done
    fi
    # What a person gets who types this and presses the tabulator.
    for try in "millwright pol:policy" "millwright may --vol:--volumes" "millwright node acc:accept" \
        "millwright-agent che:check" "millwright-coordinator --ann:"; do
        typed=${try%:*}
        offered=$(bash -c '. "$1/usr/share/bash-completion/completions/${2%% *}"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            "_${COMP_WORDS[0]//-/_}" "" "${COMP_WORDS[COMP_CWORD]}"; echo "${COMPREPLY[*]-}"' - "$scratch/units" "$typed")
        [ "$offered" = "${try#*:}" ] || fail "bash offers '$offered' after '$typed'"
    done
    for shell in zsh fish; do
        command -v "$shell" >/dev/null || { say "skipped: $shell is not installed" && continue; }
        find "$scratch/units" -path "*$shell*" -type f | while read -r file; do
            "$shell" -n "$file" || fail "$(basename "$file"): $shell does not understand it"
        done
    done
}

# The same commit gives the same bytes, wherever it lies.
check_bytes() {
    for package in "$older"/*; do
        cmp "$package" "$scratch/again/packages/$(basename "$package")" || fail "$package: built twice, it is two different ones"
    done
}

# Links and members of a bill of materials that readers rely on.
check_sbom() {
    python3 - "$scratch/units/usr/share/doc" <<'EOF'
import json, pathlib, sys
for name, crate, stranger in (("millwright-agent", "tokio", "rusqlite"), ("millwright-coordinator", "rusqlite", "bollard")):
    bom = json.loads(pathlib.Path(sys.argv[1], name, "sbom.cdx.json").read_text())
    assert bom["bomFormat"] == "CycloneDX" and bom["metadata"]["component"]["name"] == name, name
    names = {component["name"] for component in bom["components"]}
    assert crate in names and stranger not in names and "proptest" not in names, names
    for component in bom["components"]:
        assert component["licenses"][0]["expression"] != "NOASSERTION", component
        assert component["name"].startswith("millwright-") or len(component["hashes"][0]["content"]) == 64, component
    refs = {component["bom-ref"] for component in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    assert {d["ref"] for d in bom["dependencies"]} == refs
EOF
}

# The packages as they are, once more from a copy elsewhere, and newer ones whose configuration files are others.
make_packages() {
    say "making the packages, twice, and newer ones"
    CARGO_TARGET_DIR=$scratch/first "$here/packages.sh" "$programs" >"$scratch/log" 2>&1 || fail "packages.sh ended with an error"
    copy=$scratch/elsewhere/copy
    mkdir -p "$copy"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy")
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    CARGO_TARGET_DIR=$scratch/again "$copy/packaging/packages.sh" "$programs" >"$scratch/log" 2>&1 || fail "packages.sh ended with an error"
    for file in agent/etc/millwright/agent.toml coordinator/etc/millwright/coordinator.toml; do
        sed -i '1i # newer than before' "$copy/packaging/$file"
    done
    MILLWRIGHT_RELEASE=2 CARGO_TARGET_DIR=$scratch/second "$copy/packaging/packages.sh" "$programs" >"$scratch/log" 2>&1 ||
        fail "packages.sh ended with an error"
    older=$scratch/first/packages
    newer=$scratch/second/packages
}

[ "$(id -u)" = 0 ] || fail "needs root, to install packages into roots of their own"
"$root/tests/lab/needs.sh" rpmbuild dpkg-deb git python3
wants=/etc/systemd/system/multi-user.target.wants
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
programs=${1:-$("$here/build.sh")}
programs=$(cd "$programs" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/packages-test.XXXXXX")
trap finish EXIT
trap 'exit 130' INT TERM

make_packages
check_bytes
check_rpms
check_units
check_pages_and_completions
check_sbom
check_with_linters
say ".deb: install, upgrade, downgrade, remove, install again, purge"
life_of_debs
say ".rpm: install, upgrade, downgrade, remove"
life_of_rpms
say "good"

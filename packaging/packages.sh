#!/bin/sh
# Makes the packages: an .rpm (for CentOS 7 and newer), a .deb and a .tar.gz each of millwright-agent,
# millwright-coordinator and millwright (the command line). Prints the folder they are in:
#   ${CARGO_TARGET_DIR:-target}/packages/
#
# What is in a package: its folder beside this script, which mirrors the target; its program; manual pages and
# completions made from what the program says with --help (manual.py); what it is made of (sbom.py). The same commit
# gives the same bytes.
#
#     packaging/packages.sh [FOLDER]     FOLDER: ready programs; without it build.sh builds them
#     MILLWRIGHT_RELEASE=2               the packages' release (1): the same version, packaged anew
#     MILLWRIGHT_ONLY_HERE=yes           for tests: FOLDER's programs need this machine's libraries, so only a .deb each
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
maintainer="Millwright <millwright@noreply.invalid>"

say() { echo "packages: $*" >&2; }

fail() {
    echo "packages: $*" >&2
    exit 1
}

summary() {
    case $1 in
    millwright-agent) echo "Checks one node of a build cluster and reports to the coordinator" ;;
    millwright-coordinator) echo "Knows a build cluster's fleet and says what may be done with which node" ;;
    millwright) echo "Command line of Millwright, which looks after the nodes of a build cluster" ;;
    esac
}

# Lines that fit a terminal, as both kinds of package want them.
description() {
    case $1 in
    millwright-agent)
        cat <<'EOF'
The agent runs on every node of a Mesos build cluster. It checks Docker,
required containers, volumes, hung mounts, the Mesos agent or master,
ZooKeeper, Puppet, memory, processes, clock and certificates, pulls builder
images before they are needed, reports to the coordinator, and shows all of
it on 127.0.0.1:8481. It starts and stops nothing else.
EOF
        ;;
    millwright-coordinator)
        cat <<'EOF'
The coordinator runs on one host of a Mesos build cluster. It takes the
agents' reports, polls Mesos, and says for each node whether it may be
drained, rebooted, rebuilt or deleted now, and every reason why not: on a
dashboard, in an API and to the command line of the package millwright.
EOF
        ;;
    millwright)
        cat <<'EOF'
The operators' command line: every node and what is wrong with it, whether
a node may be drained, rebooted, rebuilt or deleted now and why not, the
policy, and "millwright try", the whole thing on one machine. With the
operators' manual in /usr/share/doc/millwright/manual.
EOF
        ;;
    esac
}

# Of what is not root's: "mode user group". In a .deb the group is set when the package is configured.
exception() {
    case $1 in
    /etc/millwright/coordinator.toml) echo "0640 root millwright" ;;
    /var/lib/millwright) echo "0750 millwright millwright" ;;
    /var/lib/millwright-agent) echo "0700 root root" ;;
    esac
}

has_service() { [ "$1" != millwright ]; }

# Folders of ours, which go when the last package that has them goes.
is_our_folder() {
    case $1 in
    /etc/millwright | /var/lib/millwright* | /usr/share/doc/millwright* | *.service.d) true ;;
    *) false ;;
    esac
}

# Everything that lands on the target, whatever brings it there.
stage() {
    name=$1 folder=$2 section=$3 tree=$4
    mkdir -p "$tree/usr/bin" "$tree/usr/share/doc/$name"
    for part in etc usr; do
        [ ! -d "$here/$folder/$part" ] || cp -R "$here/$folder/$part" "$tree/"
    done
    cp "$programs/$name" "$tree/usr/bin/"
    "$here/manual.py" "$tree/usr/bin/$name" "$section" "$tree"
    stage_configuration_pages "$name" "$tree"
    doc=$tree/usr/share/doc/$name
    cp "$root/LICENSE" "$doc/LICENSE"
    cp "$root/CHANGELOG.md" "$doc/changelog"
    "$here/sbom.py" "millwright-$folder" >"$doc/sbom.cdx.json"
    "$here/sbom.py" --licences "millwright-$folder" >"$doc/third-party-licences"
    [ "$name" != millwright ] || cp -R "$here/manual" "$doc/"
    [ "$name" != millwright-coordinator ] || cp -R "$here/monitoring" "$doc/"
    find "$tree/usr/share/man" "$doc/changelog" "$doc/third-party-licences" -type f -exec gzip -9n {} +
    find "$tree" -type d -exec chmod 0755 {} + -o -type f -exec chmod 0644 {} +
    chmod 0755 "$tree/usr/bin/$name"
    (cd "$tree" && find . -mindepth 1 | sed 's/^\.//') | while read -r path; do
        set -- $(exception "$path")
        [ $# -eq 0 ] || chmod "$1" "$tree$path"
    done
    find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

stage_configuration_pages() {
    case $1 in
    millwright-agent)
        page "$2" agent.toml millwright-agent.toml "configuration of millwright-agent"
        # Made here and not by the agent, so that it is nobody else's from the beginning.
        mkdir -p "$2/var/lib/millwright-agent"
        ;;
    millwright-coordinator)
        page "$2" coordinator.toml millwright-coordinator.toml "configuration of millwright-coordinator"
        page "$2" policy.alice.toml millwright-policy.toml "what people decided about a cluster's nodes"
        ;;
    esac
}

page() { "$here/manual.py" --file "$1/etc/millwright/$2" "$3" "$4" "$1"; }

# The scripts of a package, whole.
write_scripts() {
    mkdir -p "$2"
    for script in "$here"/scripts/deb-* "$here"/scripts/rpm-*; do
        sed "s/@PACKAGE@/$1/" "$here/scripts/functions.sh" | cat - "$script" >"$2/$(basename "$script")"
    done
}

make_tarball() {
    tar --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -C "$1" -c . | gzip -9n >"$2"
}

make_deb() {
    name=$1 tree=$2 scripts=$3 package=$4
    cp -a "$tree" "$scratch/deb"
    control=$scratch/deb/DEBIAN
    mkdir "$control"
    # The group exists once the package is configured; the folder too.
    rm -rf "$scratch/deb/var/lib/millwright"
    doc=$scratch/deb/usr/share/doc/$name
    debian_changelog "$name" | gzip -9n >"$doc/changelog.Debian.gz"
    rm "$doc/LICENSE"
    debian_copyright >"$doc/copyright"
    (cd "$scratch/deb" && find etc -type f 2>/dev/null | sort | sed 's/^/\//' >"$control/conffiles")
    [ -s "$control/conffiles" ] || rm "$control/conffiles"
    if has_service "$name"; then
        for script in postinst prerm postrm; do
            install -m 0755 "$scripts/deb-$script" "$control/$script"
        done
    fi
    (cd "$scratch/deb" && find usr var -type f 2>/dev/null | LC_ALL=C sort | xargs md5sum >"$control/md5sums")
    debian_control "$name" >"$control/control"
    find "$scratch/deb" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    # shellcheck disable=SC2086 # two words
    dpkg-deb --root-owner-group $packed --build "$scratch/deb" "$package" >/dev/null
    rm -rf "$scratch/deb"
}

debian_control() {
    needs=
    case $1 in
    millwright-coordinator) needs=", ca-certificates, passwd" ;;
    # It refuses to make an HTTP client where there is no authority at all.
    millwright) needs=", ca-certificates" ;;
    esac
    cat <<EOF
Package: $1
Version: $version-$release
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$scratch/deb" | cut -f 1)
Depends: libc6 (>= 2.17)$needs
Section: admin
Priority: optional
Description: $(summary "$1")
$(description "$1" | sed 's/^/ /')
EOF
}

debian_changelog() {
    cat <<EOF
$1 ($version-$release) unstable; urgency=medium

  * What changed is in changelog.gz beside this file.

 -- $maintainer  $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')
EOF
}

debian_copyright() {
    cat <<'EOF'
Millwright is licensed under the Apache License, Version 2.0; its text is in
/usr/share/common-licenses/Apache-2.0. What it is built from, and under which
licences, is in sbom.cdx.json and third-party-licences.gz beside this file.
EOF
}

# What rpm is told of each file and of our folders.
file_list() {
    (cd "$1" && find . -mindepth 1 \( -type d -printf 'dir %p\n' -o -printf 'file %p\n' \) | LC_ALL=C sort) |
        while read -r kind path; do
            path=${path#.}
            set -- $(exception "$path") - root root
            [ "$kind" != dir ] || is_our_folder "$path" || continue
            marks="%attr($1, $2, $3)"
            [ "$kind" != dir ] || marks="$marks %dir"
            case $path in
            /etc/*) [ "$kind" = dir ] || marks="$marks %config(noreplace)" ;;
            /usr/share/doc/*) [ "$kind" = dir ] || marks="$marks %doc" ;;
            esac
            echo "$marks $path"
        done
}

make_rpm() {
    name=$1 tree=$2 scripts=$3 package=$4
    [ "$name" != millwright-coordinator ] || mkdir -p "$tree/var/lib/millwright"
    file_list "$tree" >"$scratch/files"
    with_service=0 with_user=0
    ! has_service "$name" || with_service=1
    [ "$name" != millwright-coordinator ] || with_user=1
    rpmbuild --quiet -bb --target x86_64-redhat-linux --define "_topdir $scratch/rpm" --define "_rpmdir $scratch/rpms" \
        --define "package $name" --define "package_version $version" --define "package_release $release" \
        --define "package_summary $(summary "$name")" --define "package_description $(description "$name")" \
        --define "package_maintainer $maintainer" \
        --define "package_date $(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
        --define "staged $tree" --define "file_list $scratch/files" --define "scripts $scripts" \
        --define "with_service $with_service" --define "with_user $with_user" "$here/package.spec" >"$scratch/rpm.log" 2>&1 ||
        fail "make the rpm of $name: $(cat "$scratch/rpm.log")"
    mv "$scratch"/rpms/*/*.rpm "$package"
}

"$root/tests/lab/needs.sh" python3 objdump dpkg-deb rpmbuild >&2
command -v cargo >/dev/null || fail "look for cargo: not in PATH; install Rust with rustup"
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct) || fail "no git here: say SOURCE_DATE_EPOCH"
fi
export SOURCE_DATE_EPOCH
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml")
[ -n "$version" ] || fail "look for the version: Cargo.toml has none in [workspace.package]"
release=${MILLWRIGHT_RELEASE:-1}
programs=${1:-$("$here/build.sh")}
programs=$(cd "$programs" && pwd)
only_here=${MILLWRIGHT_ONLY_HERE:-}
# Quickly where nobody downloads it.
packed=-Zxz
[ -z "$only_here" ] || packed="-Zgzip -z1"
[ -n "$only_here" ] ||
    "$here/prove-links.sh" "$programs/millwright-agent" "$programs/millwright-coordinator" "$programs/millwright" >&2

mkdir -p "${CARGO_TARGET_DIR:-$root/target}/packages"
out=$(cd "${CARGO_TARGET_DIR:-$root/target}/packages" && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/packages.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
umask 022

while read -r name folder section; do
    say "$name $version-$release"
    stage "$name" "$folder" "$section" "$scratch/$name"
    write_scripts "$name" "$scratch/scripts-$name"
    make_deb "$name" "$scratch/$name" "$scratch/scripts-$name" "$out/${name}_$version-${release}_amd64.deb"
    [ -z "$only_here" ] || continue
    make_tarball "$scratch/$name" "$out/$name-$version-$release.x86_64.tar.gz"
    make_rpm "$name" "$scratch/$name" "$scratch/scripts-$name" "$out/$name-$version-$release.x86_64.rpm"
done <<EOF
millwright-agent agent 8
millwright-coordinator coordinator 8
millwright cli 1
EOF
echo "$out"

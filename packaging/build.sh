#!/bin/sh
# Builds the release programs so that they start on glibc 2.17 (CentOS 7) and everything newer, from the
# tree as it is and Cargo.lock as it is. Prints the folder they are in:
#   ${CARGO_TARGET_DIR:-target}/release-el7/{millwright-agent,millwright-coordinator,millwright}
#
# A plain `cargo build --release` asks for the glibc of the machine it runs on; zig links to the symbols
# of the version it is told. Zig comes from PyPI at the version of build-tools.txt and is kept outside the
# tree, in ${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}. Quick when nothing has changed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cache=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}
triple=x86_64-unknown-linux-gnu
glibc=2.17
mkdir -p "$cache" "${CARGO_TARGET_DIR:-$root/target}/release-el7"
target=$(cd "${CARGO_TARGET_DIR:-$root/target}" && pwd)
out=$target/release-el7

say() { echo "build: $*" >&2; }

fail() {
    echo "build: $*" >&2
    exit 1
}

# The first Python that has pip: Debian's own before one that a developer has put into PATH.
python_with_pip() {
    for python in /usr/bin/python3 python3; do
        if "$python" -m pip --version >/dev/null 2>&1; then
            echo "$python"
            return
        fi
    done
}

# The folder is named after the pins, so a change of them makes another one and the old one stays usable.
install_tools() {
    tools=$cache/release-tools-$(sha256sum <"$here/build-tools.txt" | cut -c 1-12)
    [ ! -e "$tools/ready" ] || return 0
    python=$(python_with_pip)
    if [ -z "$python" ]; then
        "$root/tests/lab/needs.sh" pip3 >&2
        python=$(python_with_pip)
    fi
    say "fetching cargo-zigbuild and zig"
    rm -rf "$tools"
    "$python" -m pip install --quiet --no-deps --no-cache-dir --disable-pip-version-check --no-warn-script-location \
        --root-user-action=ignore --only-binary :all: --require-hashes --requirement "$here/build-tools.txt" \
        --target "$tools" || fail "install the tools of build-tools.txt: pip ended with an error"
    touch "$tools/ready"
}

command -v cargo >/dev/null || fail "look for cargo: not in PATH; install Rust with rustup"
# Two builds at once would install into the same folder.
exec 9>"$cache/lock-build"
command -v flock >/dev/null && flock 9
"$root/tests/lab/needs.sh" cc >&2
install_tools
exec 9>&-

# Frame pointers make the tables that unwinding needs a third smaller, and profiles readable.
RUSTFLAGS="-C force-frame-pointers=yes"
# The programs shall not tell where they were built, and shall be the same wherever that was.
RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
RUSTFLAGS="$RUSTFLAGS --remap-path-prefix=$root=millwright --remap-path-prefix=$target=target"
export RUSTFLAGS
export CARGO_TARGET_DIR="$target"
export CARGO_ZIGBUILD_ZIG_PATH="$tools/ziglang/zig"
export CARGO_ZIGBUILD_CACHE_DIR="$tools/wrappers"
export ZIG_GLOBAL_CACHE_DIR="$cache/zig"

cd "$root"
"$tools/bin/cargo-zigbuild" zigbuild --locked --release --target "$triple.$glibc" \
    -p millwright-agent -p millwright-coordinator -p millwright-cli >&2

for program in millwright-agent millwright-coordinator millwright; do
    built=$target/$triple/release/$program
    # The old file stays whole for whoever runs it.
    if ! cmp -s "$built" "$out/$program"; then
        cp "$built" "$out/$program.new"
        mv "$out/$program.new" "$out/$program"
    fi
done
echo "$out"

#!/bin/sh
# Proves that programs start on CentOS 7, as far as it can be read from them: no symbol newer than glibc 2.17, no
# library beyond glibc's own, and stripped.
#     packaging/prove-links.sh PROGRAM…
set -eu

newest_glibc=2.17
# What glibc 2.17 is made of. libgcc_s, libssl and the like would be a wish to the node.
libraries="libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 librt.so.1 libutil.so.1 ld-linux-x86-64.so.2"

fail() {
    echo "links: $*" >&2
    exit 1
}

# Every version of glibc's symbols that a program asks for; also GLIBC_ABI_DT_RELR, a wish without a symbol.
glibc_versions() { objdump -p "$1" | grep -o 'GLIBC_[A-Z0-9._]*' | sort -Vu; }

# A symbol that must be there but names no version is one that zig's glibc 2.17 does not have.
unversioned() { objdump -T "$1" | awk '/\*UND\*/ && $1 ~ /^0+$/ && $2 != "w" && !/GLIBC_/ { print $NF }'; }

# Says what is wrong with a program; nothing when it starts on glibc 2.17.
complaint() {
    newest=$(glibc_versions "$1" | tail -n 1)
    for version in $(glibc_versions "$1"); do
        number=${version#GLIBC_}
        if [ "$(printf '%s\n' "$number" "$newest_glibc" | sort -V | tail -n 1)" != "$newest_glibc" ]; then
            echo "asks for $version"
        fi
    done
    [ -n "$newest" ] || echo "asks for no glibc at all, so it is not what we build"
    for library in $(objdump -p "$1" | awk '$1 == "NEEDED" { print $2 }'); do
        case " $libraries " in *" $library "*) ;; *) echo "needs $library" ;; esac
    done
    for symbol in $(unversioned "$1"); do
        echo "needs the symbol $symbol, which names no version"
    done
}

"$(dirname "$0")/../tests/lab/needs.sh" objdump >&2
for program in "$@"; do
    [ -x "$program" ] || fail "look for $program: not there; packaging/build.sh makes it"
    wrong=$(complaint "$program")
    [ -z "$wrong" ] || fail "$program does not start on glibc $newest_glibc:
$wrong"
    objdump -t "$program" | grep -q '^no symbols$' || fail "$program is not stripped"
    echo "links: $(basename "$program"): newest symbol $(glibc_versions "$program" | tail -n 1)"
done

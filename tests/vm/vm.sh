#!/bin/sh
# One real reboot: a virtual machine with our agent, a coordinator on this host, and a new boot id that the agent itself
# brings. Software emulation, so that it needs no privileges of the processor: some minutes.
#
#     vm.sh test [PROGRAMS]     tells the story
#     vm.sh run [PROGRAMS]      brings machine and coordinator up and keeps them until Ctrl-C
#
# PROGRAMS is a folder of ready programs, by default target/debug. Needs root, to make the machine's disk. Nothing
# outlives it but the image in ~/.cache/millwright; of this machine's network it uses loopback only.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
programs=${2:-${CARGO_TARGET_DIR:-$root/target}/debug}
node=alibuild10
began=$(date +%s)

say() { echo "vm: $(printf '%4d' $(($(date +%s) - began))) s  $*"; }

fail() {
    echo "vm: $*" >&2
    for log in qemu console coordinator; do
        [ ! -s "${scratch:-}/$log.log" ] || tail -n 15 "$scratch/$log.log" >&2
    done
    exit 1
}

# until_true SECONDS WHAT COMMAND...: the limit is for a machine that is far too busy. $waited says how long it took.
until_true() {
    limit=$1 what=$2 start=$(date +%s)
    shift 2
    until "$@" >/dev/null 2>&1; do
        waited=$(($(date +%s) - start))
        [ "$waited" -lt "$limit" ] || fail "waited $limit s for this: $what"
        sleep 0.5
    done
    waited=$(($(date +%s) - start))
}

finish() {
    status=$?
    trap - EXIT INT TERM
    for process in ${machine:-} ${coordinator:-} ${listener:-}; do
        kill "$process" 2>/dev/null || true
    done
    wait
    rm -rf --one-file-system "$scratch"
    exit "$status"
}

. "$here/machine.sh"
. "$here/story.sh"

case ${1:-} in run | test) ;; *)
    sed -n '5,6s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
[ "$(id -u)" = 0 ] || fail "needs root, to make the machine's disk"
for program in millwright-agent millwright-coordinator; do
    [ -x "$programs/$program" ] || fail "there is no $programs/$program: run \`make build\`, or name a folder of programs"
done
"$root/tests/lab/needs.sh" unshare setpriv mkfs.ext4 curl python3 strip qemu-system-x86_64
image=$("$here/image.sh")
# So that nobody takes it for old.
exec 8<"$image"
flock --shared 8
scratch=$(mktemp -d "${TMPDIR:-/tmp}/millwright-vm.XXXXXX")
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_coordinator
make_disk
start_machine
say "the machine is started; its console is $scratch/console.log"
if [ "$1" = run ]; then
    say "the coordinator is on $operators; the machine's keyboard is $scratch/keyboard.in; Ctrl-C ends both"
    wait "$machine"
else
    story
fi

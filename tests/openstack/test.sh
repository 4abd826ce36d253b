#!/bin/bash
# Runs a program beside a cloud that is there for as long as it runs:  test.sh PROGRAM ARGUMENT…
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export LAB=${LAB:-${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}/openstack}
trap '"$here/down.sh" --keep-logs' EXIT
"$here/up.sh"
OPENSTACK_LAB=$LAB "$@"

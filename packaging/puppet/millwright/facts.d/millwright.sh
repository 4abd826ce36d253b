#!/bin/sh
# External facts: the version of the agent on this node, and its worst finding ("ok", "warn", "crit", "unknown").
# Silent where there is no agent, and never longer than five seconds.
set -eu

agent=${MILLWRIGHT_AGENT:-/usr/bin/millwright-agent}
[ -x "$agent" ] || exit 0

version=$(timeout -s KILL 2 "$agent" --version 2>/dev/null) || exit 0
echo "millwright_version=${version##* }"

# No agent runs: that is not known to be well.
worst=$(timeout -s KILL 3 "$agent" status --json 2>/dev/null | sed -n 's/^  "worst": "\([a-z]*\)".*/\1/p' | head -n 1)
echo "millwright_worst=${worst:-unknown}"

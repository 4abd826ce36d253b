#!/bin/sh
# Waiting for conditions, and saying what happens and how long it took. Sourced.
# shellcheck shell=sh disable=SC2154
set -eu

began=$(date +%s)

say() { echo "cluster: $(printf '%4d' $(($(date +%s) - began))) s  $*"; }

fail() {
    echo "cluster: $*" >&2
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

# together FUNCTION WORD...: for all words at once.
together() {
    function=$1 children=
    shift
    for word in "$@"; do
        "$function" "$word" &
        children="$children $!"
    done
    for child in $children; do
        wait "$child" || fail "$function failed for one of: $*"
    done
}

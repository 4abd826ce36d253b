#!/bin/sh
# A build or a test must not leave anything in the tree.
set -eu

command -v git >/dev/null 2>&1 && git rev-parse --is-inside-work-tree >/dev/null 2>&1 || exit 0
left=$(git status --porcelain)
[ -z "$left" ] && exit 0
# While a person is at work the tree is theirs; a machine starts from a clean one.
if [ "${CI:-}" = true ]; then
    echo "the tests left this in the tree:" >&2
    echo "$left" >&2
    exit 1
fi

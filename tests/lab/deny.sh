#!/bin/sh
# Licences, bans and sources of every dependency. cargo-deny is built once and kept outside the tree.
set -eu

version=0.20.2
tools=${MILLWRIGHT_CACHE:-$HOME/.cache/millwright}/tools
if [ ! -x "$tools/bin/cargo-deny" ]; then
    echo "lab: building cargo-deny $version, once"
    cargo install --quiet --locked --version "$version" --root "$tools" cargo-deny
fi
exec "$tools/bin/cargo-deny" check licenses bans sources

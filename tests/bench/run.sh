#!/bin/sh
# Measures our programs beside their peers, in one go. Results on standard output, one line each:
#     bench NAME ours VALUE UNIT peer NAME VALUE ratio R
# and everything for people on standard error. `README.md` beside this file says what is measured and how.
#
#     tests/bench/run.sh [PART]     all (the default), verdicts, fleet, journal, operations, intake, tls, storm, node
#     BENCH_SECONDS=120             how long agent and peers are watched, 600 unless said
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
"$here/install.sh"
# The agent looks at a real Docker and a real volume where there are some.
tests/lab/install.sh >&2 || echo "bench: without the lab; see above" >&2
cargo=${CARGO:-cargo}
$cargo build --quiet --locked --release -p millwright-agent -p millwright-coordinator --bins >&2
$cargo build --quiet --locked --release -p millwright-tests --example bench --example simulate >&2
exec "${CARGO_TARGET_DIR:-target}/release/examples/bench" "${1:-all}"

#!/usr/bin/env bash
# Looks for inputs that break what is said of the parsers (src/fuzzing), guided by what code they reach.
#
#   tests/fuzz/run.sh [seconds for each target, 60] [target ...]
#
# Without targets: all, one after the other. It needs a stable toolchain, a C++ compiler, and no cargo-fuzz. Inputs that
# reach something new are added to tests/fuzz/corpus; what breaks is left in target/fuzz/findings, and ends with status 1.
# With LONGSHORE_FUZZ_KEEP=no nothing is added.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
shift || true
host=$(rustc -vV | sed -n 's/^host: //p')
work=target/fuzz

# Only what is built for the target is instrumented: build scripts would not find libFuzzer.
flags="--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
RUSTFLAGS=$flags CARGO_PROFILE_DEV_OPT_LEVEL=2 CARGO_TARGET_DIR=$work \
    cargo build --quiet --example fuzz --target "$host"
fuzz=$work/$host/debug/examples/fuzz

# As few and as small inputs as reach what no kept one reaches.
keep() {
    local before
    before=$(ls "$kept" | wc -l)
    "$fuzz" -set_cover_merge=1 -use_counters=0 -max_len=512 "$kept" "$found" 2> "$work/merge.log" ||
        { tail -n 20 "$work/merge.log"; exit 1; }
    echo "run.sh: $target keeps $(ls "$kept" | wc -l) inputs, before $before"
}

targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/corpus)
mkdir -p "$work/findings"
failed=0
for target in "${targets[@]}"; do
    kept=tests/fuzz/corpus/$target
    found=$work/corpus/$target
    [ -d "$kept" ] || { echo "run.sh: there is no target $target" >&2; exit 64; }
    mkdir -p "$found"
    export LONGSHORE_FUZZ_TARGET=$target
    log=$work/$target.log
    if "$fuzz" "$found" "$kept" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$work/findings/$target-" > "$log" 2>&1; then
        echo "run.sh: $target holds for $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
    else
        echo "run.sh: $target FAILED"
        tail -n 40 "$log"
        failed=1
    fi
    [ "${LONGSHORE_FUZZ_KEEP:-yes}" = no ] || keep
done
exit $failed

#!/usr/bin/env bash
# The OCI distribution-spec's own conformance tool against the release binary, on both drivers,
# with the draft's defaults (OCI_VERSION=dev) and sparse manifests.
#
#   cargo build --release
#   OCI_CONFORMANCE=/path/to/conformance tests/conformance/run.sh [DRIVER]...
#
# The tool is in no package registry: its source is the folder `conformance` of the
# distribution-spec's repository.
#
# Its reports (report.html has every request and answer) are left in target/conformance/<driver>;
# RESULTS names another folder. OCI_FILTER_TEST and the tool's other settings pass through.
#
# Exit status: 0 when each driver counts 0 fail, 0 error and 0 skip (the tool itself ends with 0
# when it skips), 1 otherwise, 77 without the tool, 2 when the run could not start.
set -euo pipefail

readonly NO_TOOL=77

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../clients/lib.sh"

DRIVERS=("$@")
((${#DRIVERS[@]})) || DRIVERS=(filesystem memory)
RESULTS=${RESULTS:-$ROOT/target/conformance}

need_tool() {
  if [[ -n ${OCI_CONFORMANCE:-} && -x $OCI_CONFORMANCE ]]; then return; fi
  echo "OCI_CONFORMANCE must name the conformance tool's binary; its source is the folder" >&2
  echo "'conformance' of the distribution-spec's repository" >&2
  exit "$NO_TOOL"
}

count() { # DRIVER ROW: a number from the tool's summary; fails when it is not there
  sed -n "/^OCI Conformance Result/,\$s/^  $2\.*: *\([0-9][0-9]*\)\$/\1/p" "$RESULTS/$1/output.txt" |
    grep -m 1 .
}

run_tool() { # DRIVER
  mkdir -p "$RESULTS/$1"
  OCI_REGISTRY=$REGISTRY OCI_TLS=disabled OCI_VERSION=dev OCI_DATA_SPARSE=true \
    OCI_RESULTS_DIR=$RESULTS/$1 "$OCI_CONFORMANCE" </dev/null >"$RESULTS/$1/output.txt" 2>&1 || true
}

judge() { # DRIVER: prints its counts; fails unless nothing failed, erred or was skipped
  local pass fail error skip
  if ! { pass=$(count "$1" Pass) && fail=$(count "$1" FAIL) && error=$(count "$1" Error) &&
    skip=$(count "$1" Skip); }; then
    echo "conformance on $1: the tool gave no summary" >&2
    tail -n 20 "$RESULTS/$1/output.txt" >&2
    return 1
  fi
  if ((fail + error + skip > 0)); then grep -A 3 -E ': (FAIL|Error|Skip)$' "$RESULTS/$1/output.txt" || true; fi
  echo "conformance on $1: $fail fail, $error error, $skip skip, $pass pass"
  ((fail + error + skip == 0 && pass > 0))
}

need_tool
need_longshore
need_debian curl=curl python3=python3
export LONGSHORE__MANIFESTS__ALLOW_SPARSE=true

for driver in "${DRIVERS[@]}"; do
  start_longshore "$WORK/data-$driver" "$driver"
  run_tool "$driver"
  if judge "$driver"; then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); fi
  stop_server || {
    echo "conformance on $driver: the registry ended with status $?"
    FAILED=$((FAILED + 1))
  }
done
close_cases conformance

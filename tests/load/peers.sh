#!/usr/bin/env bash
# The same work against several registries on this machine, side by side in turns: longshore (once
# with durability `process`, once with `commit`), Debian's docker-registry (2.8), distribution v3,
# others whose programs are named, and the raw control, which only receives, hashes and writes.
#
#   cargo build --release && tests/load/peers.sh [--quick] [--rows NAME,...] [--output FOLDER]
#
#   --quick    small sizes and short turns, under two minutes: shows that it works, measures little
#   --rows     only these (see rows.sh)
#   --output   where the table (peers.md) and each row's report (JSON, HTML) go; target/peers
#
# Other registries, each with its data in a fresh folder for each row:
#   PEER_ZOT=/path/to/zot   PEER_OLAREG=/path/to/olareg
#   PEER_CMD_NAME='/path/to/program --port $PORT --dir $FOLDER'    anything else, called NAME
#
# PEERS_GIB, 2 by default, is how many GiB of large blobs each registry gets in a row; they are on
# the disk of TMPDIR all at once. tests/clients/lib.sh lists more variables. The exit status is 0
# when longshore and the control did all that was asked, 1 when not (what other registries did wrong
# is in the table), 2 when the run could not start.
set -euo pipefail

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../clients/lib.sh"
# shellcheck source=tests/clients/layout/peers.sh
source "$HERE/layout/peers.sh"
# shellcheck source=tests/load/peers/servers.sh
source "$ROOT/tests/load/peers/servers.sh"
# shellcheck source=tests/load/peers/rows.sh
source "$ROOT/tests/load/peers/rows.sh"

QUICK=
ONLY=
OUTPUT=$ROOT/target/peers
PEERS_GIB=${PEERS_GIB:-2}
ROW_TIMEOUT=1800

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# NAME TITLE CONTROL(yes or no) LIMIT(YAML of the shape) WORKERS SIZES PREPARED WORKLOAD(YAML)
row() {
  local name=$1
  if [[ -n $ONLY && ",$ONLY," != *",$name,"* ]]; then return; fi
  echo "== $2" >&2
  # What a quick run finds in their storage does not matter.
  if [[ -z $QUICK || ${#ROWS[@]} == 0 ]]; then start_all; fi
  write_plan "$@" >"$OUTPUT/$name.yaml"
  rm -f "$OUTPUT/$name.json" "$OUTPUT/$name.html"
  local status=0
  timeout --kill-after=20s "$ROW_TIMEOUT" "$LONGSHORE_BIN" load --plan "$OUTPUT/$name.yaml" \
    </dev/null >"$OUTPUT/$name.log" 2>&1 || status=$?
  [[ -n $QUICK ]] || stop_all
  if [[ ! -s $OUTPUT/$name.json ]]; then
    tail -n 25 "$OUTPUT/$name.log" >&2
    die "$name: longshore load ended with status $status and wrote no report"
  fi
  # Mistakes of others are told in the report; the table says whether there were some of our own.
  ((status == 0)) || echo "   status $status: $(tail -n 1 "$OUTPUT/$name.log")" >&2
  ROWS+=("$name=$2")
}

write_plan() { # as row
  local index
  cat <<YAML
# $2
targets:
YAML
  for index in "${!TARGETS[@]}"; do
    echo "  - {name: ${TARGETS[index]}, address: \"${ADDRESSES[index]}\", server_pid: ${PIDS[index]}}"
  done
  [[ $3 != yes ]] || echo "control: true"
  cat <<YAML
seed: 1
workloads: [$8]
content: {sizes: $6, prepared: $7}
shape: {workers: $5, $4}
report: {json: "$OUTPUT/$1.json", html: "$OUTPUT/$1.html"}
YAML
}

need_space() { # every registry keeps a row's blobs until the row ends
  local needed_kib free_kib
  needed_kib=$((($1 * (${#NAMES[@]} + 1) + 1) << 20))
  free_kib=$(df --output=avail -k "$WORK" | tail -n 1)
  ((free_kib > needed_kib)) ||
    die "$((needed_kib >> 20)) GiB are needed in $WORK and $((free_kib >> 20)) are free: set PEERS_GIB or TMPDIR"
}

while (($#)); do
  case $1 in
    --quick) QUICK=yes; shift ;;
    --rows) ONLY=${2:?--rows needs names}; shift 2 ;;
    --output) OUTPUT=${2:?--output needs a folder}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

need_longshore
need_debian curl=curl python3=python3 ps=procps
install_all
mkdir -p "$OUTPUT"
OUTPUT=$(cd "$OUTPUT" && pwd)
ROWS=()
if [[ -n $QUICK ]]; then quick_rows; stop_all; else need_space "$PEERS_GIB"; full_rows; fi
((${#ROWS[@]})) || die "no row is called $ONLY"
status=0
freshness="fresh for each row"
[[ -z $QUICK ]] || freshness="fresh for the first row only, and all is small, so that little can be read from it"
python3 "$ROOT/tests/load/peers/table.py" "$OUTPUT" "$WORK/durability" "$freshness" "${ROWS[@]}" \
  >"$OUTPUT/peers.md" || status=$?
cat "$OUTPUT/peers.md"
echo "reports: $OUTPUT" >&2
exit "$status"

#!/usr/bin/env bash
# The same work against several registries on this machine, side by side in turns: longshore (once
# with durability `process`, once with `commit`), Debian's docker-registry (2.8), distribution v3,
# others whose programs are named, and the raw control, which only receives, hashes and writes.
#
#   cargo build --release && tests/load/peers.sh [--quick] [--rows NAME,...] [--rounds N]
#                                                [--output FOLDER] [--results]
#
#   --quick    small sizes and one short round, under two minutes: shows that it works, measures little
#   --rows     only these (see rows.sh)
#   --rounds   how many turns each registry has in a row, one after the other; 5, or 1 with --quick
#   --output   where peers.md (what each registry needed), results.md (longshore's figures as ratios,
#              beside their targets) and, in a folder for each row, the reports go; target/peers
#   --results  puts results.md and peers.md together into benches/RESULTS.md; not with --quick
#
# Other registries, each with its data in a fresh folder:
#   PEER_ZOT=/path/to/zot   PEER_OLAREG=/path/to/olareg
#   PEER_CMD_NAME='/path/to/program --port $PORT --dir $FOLDER'    anything else, called NAME
#
# All rows take 30 minutes with five registries and two processors that hash fast, and up to 8 GiB of
# TMPDIR: what was pushed goes after each turn, or each row where little is pushed.
# tests/clients/lib.sh lists more variables. The exit status is 0 when longshore and the control did
# all that was asked, 1 when not (what other registries did wrong is in the table), 2 when the run
# could not start.
set -euo pipefail

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../clients/lib.sh"
# shellcheck source=tests/clients/layout/peers.sh
source "$HERE/layout/peers.sh"
# shellcheck source=tests/load/peers/servers.sh
source "$ROOT/tests/load/peers/servers.sh"
# shellcheck source=tests/load/peers/rows.sh
source "$ROOT/tests/load/peers/rows.sh"

# Nothing of Python is left beside the scripts.
export PYTHONDONTWRITEBYTECODE=1

QUICK=
ONLY=
ROUNDS=
RESULTS=
OUTPUT=$ROOT/target/peers
LOAD_TIMEOUT=900

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

# NAME TITLE UNIT HOW CONTROL COUNT WORKERS SIZES PREPARED WORKLOAD
#   UNIT      what a cost is told of: bytes (pushed), bytes out, pushes, images, requests
#   HOW       alone: each turn is COUNT tasks in a new process on a fresh folder, which goes with it;
#             turns: all registries run, and have turns of TURN
#   CONTROL   yes or no: whether the control can do it
#   PREPARED  how many blobs or images are pushed before
#   WORKLOAD  as YAML
row() {
  local name=$1 how=$4 title
  title=$(sed -E 's/([0-9])([KMG]iB)/\1 \2/g' <<<"$2")
  if [[ -n $ONLY && ",$ONLY," != *",$name,"* ]]; then return; fi
  echo "== $title" >&2
  rm -rf "${OUTPUT:?}/$name"
  mkdir -p "$OUTPUT/$name"
  printf '%s\t%s\t%s\n' "$title" "$3" "$how" >"$OUTPUT/$name/row.tsv"
  if [[ $how == alone ]]; then row_alone "$@"; else row_in_turns "$@"; fi
  ROWS+=("$name")
}

row_in_turns() { # as row
  local duration="duration: $((ROUNDS * ${TURN%%[a-z]*}))${TURN##*[0-9]}"
  start_all "${NAMES[@]}"
  load "$1" all "$5" "$7" "$8" "$9" "${10}" "$duration, turn: $TURN, warm_up: $WARM_UP"
  stop_all
}

row_alone() { # as row
  local round registry
  local taking_part=("${NAMES[@]}")
  [[ $5 != yes ]] || taking_part+=(control)
  for ((round = 1; round <= ROUNDS; round++)); do
    for registry in $(in_order_of "$round" "${taking_part[@]}"); do
      if [[ $registry == control ]]; then
        start_all
        load "$1" "$round-$registry" yes "$7" "$8" "$9" "${10}" "count: $6"
      else
        start_all "$registry"
        load "$1" "$round-$registry" no "$7" "$8" "$9" "${10}" "count: $6"
      fi
      stop_all
    done
  done
}

in_order_of() { # ROUND NAME...: another order each round, since what one leaves behind meets the next one
  python3 -c 'import random, sys; names = sys.argv[2:]; random.Random(int(sys.argv[1])).shuffle(names); print(*names)' "$@"
}

# ROW REPORT CONTROL WORKERS SIZES PREPARED WORKLOAD SHAPE: the registries that run
load() {
  local report=$OUTPUT/$1/$2 status=0 index
  {
    echo "targets: ["
    for index in "${!TARGETS[@]}"; do
      echo "  {name: ${TARGETS[index]}, address: \"${ADDRESSES[index]}\", server_pid: ${PIDS[index]}},"
    done
    cat <<YAML
]
control: $([[ $3 == yes ]] && echo true || echo false)
own_servers: {folder: "$WORK"}
seed: 1
workloads: [$7]
content: {sizes: $5, prepared: $6}
shape: {workers: $4, $8}
report: {json: "$report.json", html: "$report.html"}
YAML
  } >"$report.yaml"
  timeout --kill-after=20s "$LOAD_TIMEOUT" "$LONGSHORE_BIN" load --plan "$report.yaml" \
    </dev/null >"$report.log" 2>&1 || status=$?
  if [[ ! -s $report.json ]]; then
    tail -n 25 "$report.log" >&2
    die "$1: longshore load ended with status $status and wrote no report"
  fi
  # Mistakes of others are told in the report; the table says whether there were some of our own.
  ((status == 0)) || echo "   $2: status $status: $(tail -n 1 "$report.log")" >&2
}

need_space() {
  local needed_kib=$((($1 + 1) << 20)) free_kib
  free_kib=$(df --output=avail -k "$WORK" | tail -n 1)
  ((free_kib > needed_kib)) ||
    die "$((needed_kib >> 20)) GiB are needed in $WORK and $((free_kib >> 20)) are free: set TMPDIR"
}

while (($#)); do
  case $1 in
    --quick) QUICK=yes; shift ;;
    --results) RESULTS=yes; shift ;;
    --rows) ONLY=${2:?--rows needs names}; shift 2 ;;
    --rounds) ROUNDS=${2:?--rounds needs a number}; shift 2 ;;
    --output) OUTPUT=${2:?--output needs a folder}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done
[[ -z $QUICK || -z $RESULTS ]] || die "--results is for figures, and --quick measures little"
ROUNDS=${ROUNDS:-$([[ -n $QUICK ]] && echo 1 || echo 5)}
[[ $ROUNDS =~ ^[1-9][0-9]*$ ]] || die "--rounds $ROUNDS is no number"

need_longshore
need_debian curl=curl python3=python3 ps=procps
install_all
mkdir -p "$OUTPUT"
OUTPUT=$(cd "$OUTPUT" && pwd)
tell_registries >"$OUTPUT/registries.tsv"
tell_surroundings >"$OUTPUT/surroundings.tsv"
ROWS=()
if [[ -n $QUICK ]]; then quick_rows; else need_space $((${#NAMES[@]} + 1)); full_rows; fi
((${#ROWS[@]})) || die "no row is called $ONLY"
status=0
python3 "$ROOT/tests/load/peers/table.py" "$OUTPUT" "${ROWS[@]}" >"$OUTPUT/peers.md" || status=$?
python3 "$ROOT/tests/load/peers/results.py" "$OUTPUT" "${ROWS[@]}" >"$OUTPUT/results.md"
cat "$OUTPUT/peers.md" "$OUTPUT/results.md"
[[ -z $RESULTS ]] || cat "$OUTPUT/results.md" "$OUTPUT/peers.md" >"$ROOT/benches/RESULTS.md"
echo "reports: $OUTPUT" >&2
exit "$status"

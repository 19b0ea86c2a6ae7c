#!/usr/bin/env bash
# Real clients against the release binary: pushes, pulls, copies, lists and deletes with skopeo,
# buildah, crane, regctl, the Python `oras` package and helm, comparing content by digest.
#
#   cargo build --release && tests/clients/run.sh [--without CLIENT]... [--storage memory]
#
# It installs the clients where they are missing: Debian packages (root is needed for that), Go
# programs and a Python environment under ~/.cache/longshore-clients; helm takes two minutes to
# build. All test images are made here, with random content. One line a case, a closing line
# `clients: N passed, M failed`; the exit status is 0 when all passed, 1 when one failed and 2
# when the run could not start. lib.sh lists the environment variables.
set -euo pipefail

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CLIENTS=(skopeo buildah crane regctl oras helm)
STORAGE=filesystem

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
}

leave_out() { # CLIENT
  local client kept=()
  [[ " ${CLIENTS[*]} " == *" $1 "* ]] || die "no such client: $1 (there are: ${CLIENTS[*]})"
  for client in "${CLIENTS[@]}"; do [[ $client == "$1" ]] || kept+=("$client"); done
  CLIENTS=("${kept[@]}")
}

keep_in_mind() { # what is in the registry before the restart: REPOSITORY TAG DIGEST a line
  local repository tag
  curl -fsS "http://$REGISTRY/v2/_catalog?n=1000" | jq -r '.repositories[]' | while read -r repository; do
    for tag in $(tags_of "$repository"); do
      echo "$repository $tag $(python3 "$HERE/oci_layout.py" remote "http://$REGISTRY" "$repository" "$tag")"
    done
  done >"$WORK/kept"
  [[ -s $WORK/kept ]]
}

check_kept() {
  local repository tag digest
  [[ -s $WORK/kept ]]
  while read -r repository tag digest; do check_remote "$repository" "$tag" "$digest"; done <"$WORK/kept"
}

while (($#)); do
  case $1 in
    --without) leave_out "${2:?--without needs a name}"; shift 2 ;;
    --storage) STORAGE=${2:?--storage needs a name}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

need_longshore
need_debian curl=curl python3=python3 jq=jq ps=procps
for client in "${CLIENTS[@]}"; do
  # shellcheck source=/dev/null
  source "$HERE/cases/$client.sh"
  "install_$client"
done

export HOME=$WORK/home # no client reads or leaves anything in the user's own
mkdir -p "$HOME"
make_images
start_longshore "$WORK/data" "$STORAGE"
for client in "${CLIENTS[@]}"; do "cases_$client"; done
run_case "longshore: every tag of every repository is complete" keep_in_mind

status=0
stop_server || status=$?
run_case "longshore: stops with status 0" expect 0 "$status" "exit status"
if [[ $STORAGE == filesystem ]]; then
  start_longshore "$WORK/data"
  run_case "longshore: content survives a restart" check_kept
fi
close_cases clients

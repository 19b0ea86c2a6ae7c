#!/usr/bin/env bash
# One folder, served in turn by longshore and by distribution: Debian's docker-registry (2.8) and
# distribution v3. What one wrote, the other must list, give and delete.
#
#   cargo build --release && tests/clients/distribution-layout.sh [debian] [v3]
#
# skopeo and docker-registry come from Debian (root is needed for skopeo's package only), v3 is
# built with Go into ~/.cache/longshore-clients (three minutes, once). The images are made here and
# compared by digest. One line a case, a closing line `layout: N passed, M failed`; the exit status
# is 0 when all passed, 1 when one failed, 2 when the run could not start. lib.sh lists the
# environment variables.
set -euo pipefail

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/clients/layout/peers.sh
source "$HERE/layout/peers.sh"
# shellcheck source=tests/clients/layout/content.sh
source "$HERE/layout/content.sh"
# shellcheck source=tests/clients/layout/changes.sh
source "$HERE/layout/changes.sh"

PEERS=("$@")
((${#PEERS[@]})) || PEERS=(debian v3)

# --- the two ways -----------------------------------------------------------------------------------

peer_then_longshore() { # PEER
  local peer=$1 folder=$WORK/$1-first
  start_peer "$peer" "$folder"
  run_case "$peer writes: images" fill
  run_case "$peer writes: artifacts with a subject" fill_artifacts
  run_case "$peer writes: a blob by sha512" put_blob raw "$WORK/blob" "$SHA512"
  run_case "$peer writes: half of an upload" begin_upload
  hand_over start_longshore "$folder"
  run_case "$peer wrote, longshore serves: images by tag and digest" check_filled
  run_case "$peer wrote, longshore serves: catalog and tags" check_lists
  run_case "$peer wrote, longshore serves: a blob by sha512" check_blob raw "$WORK/blob" "$SHA512"
  run_case "$peer wrote, longshore serves: referrers by subject" \
    check_referrers signed "$(image_digest signature)"
  run_case "$peer wrote, longshore serves: referrers of a fallback tag" \
    check_referrers scanned "$(fallback_entry "$(image_digest fallback)")"
  run_case "$peer began an upload, longshore ends it" finish_upload
  run_case "$peer wrote, longshore changes: push, move, delete" change
  run_case "$peer wrote, longshore changed: longshore sees it" check_changed
  hand_over start_peer "$peer" "$folder"
  run_case "$peer wrote, longshore changed: $peer sees it" check_changed
  run_case "$peer wrote, longshore changed: $peer undoes it" undo_change
  hand_over start_longshore "$folder"
  run_case "$peer wrote, longshore changed, $peer undid: longshore sees it" check_undone
  hand_over true
}

longshore_then_peer() { # PEER
  local peer=$1 folder=$WORK/$1-second
  start_longshore "$folder"
  run_case "longshore writes: images" fill
  run_case "longshore writes: artifacts with a subject" fill_artifacts
  run_case "longshore writes: a blob by sha512" put_blob raw "$WORK/blob" "$SHA512"
  run_case "longshore writes: an image by sha512" put_sha512_image
  run_case "longshore writes: half of an upload" begin_upload
  hand_over start_peer "$peer" "$folder"
  run_case "longshore wrote, $peer serves: images by tag and digest" check_filled
  run_case "longshore wrote, $peer serves: catalog and tags" check_lists
  run_case "longshore wrote, $peer serves: an image by sha512" check_sha512_image
  run_case "longshore wrote, $peer changes: push, move, delete" change
  hand_over start_longshore "$folder"
  run_case "longshore wrote, $peer changed: longshore sees it" check_changed
  run_case "longshore wrote, $peer changed: referrers are still listed" \
    check_referrers signed "$(image_digest signature)"
  run_case "longshore wrote, $peer changed: the upload goes on" finish_upload
  hand_over true
  run_case "longshore wrote, $peer collects garbage" collect_garbage "$peer" "$folder"
  start_longshore "$folder"
  run_case "longshore wrote, $peer collected garbage: nothing is missing" check_after_collection
  hand_over true
}

hand_over() { # COMMAND...: stops the one that runs, then starts the next
  stop_server || true
  "$@"
}

# --- main -------------------------------------------------------------------------------------------

need_longshore
need_debian curl=curl python3=python3 jq=jq ps=procps skopeo=skopeo
for peer in "${PEERS[@]}"; do install_peer "$peer"; done
export HOME=$WORK/home # no client reads or leaves anything in the user's own
mkdir -p "$HOME"
make_images
head -c 1000000 /dev/urandom >"$WORK/blob"
SHA512=sha512:$(sha512sum <"$WORK/blob" | cut -d' ' -f1)
for peer in "${PEERS[@]}"; do
  peer_then_longshore "$peer"
  longshore_then_peer "$peer"
done
close_cases layout

#!/usr/bin/env bash
# longshore's own client (push, pull, copy) with registries of others: Debian's docker-registry (2.8)
# and distribution v3, open to all, by basic authentication, and by tokens of a token service.
#
#   cargo build --release && tests/clients/own-client.sh [debian] [v3]
#
# docker-registry, skopeo and htpasswd come from Debian, v3 is built with Go (see
# distribution-layout.sh). What was pushed is compared by digest, read by skopeo or the plain API.
# One line a case, a closing line `own client: N passed, M failed`; the exit status is 0 when all
# passed, 1 when one failed, 2 when the run could not start. lib.sh lists the environment variables.
set -euo pipefail

# shellcheck source=tests/clients/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/clients/layout/peers.sh
source "$HERE/layout/peers.sh"
# shellcheck source=tests/clients/own/servers.sh
source "$HERE/own/servers.sh"
# shellcheck source=tests/clients/own/cases.sh
source "$HERE/own/cases.sh"

PEERS=("$@")
((${#PEERS[@]})) || PEERS=(debian v3)

open_to_all() { # PEER
  start_guarded "$1" "$WORK/$1-open" none
  log_out
  run_case "$1: push and pull an image" round_trip open/small small
  run_case "$1: push and pull layers of 5, 20 and 64 MiB" round_trip open/large large
  run_case "$1: push and pull an index of platforms" round_trip open/multi multi
  run_case "$1: push and pull an index within an index" round_trip open/nested nested
  run_case "$1: push in chunks of 1 MiB" chunked_push open/chunked large
  run_case "$1: push a gzipped tarball of a layout, pull a tarball" tarball_round_trip open/tarball large
  run_case "$1: push and pull a single file" file_round_trip open/file
  run_case "$1: copy within the registry mounts" copy_within open/large open/copy large
  through_gate 4 run_case "$1: a push that was killed between two chunks goes on" killed_push_goes_on open/chunks
  run_case "$1: a push that was killed within a body ends well when it is repeated" killed_push open/killed
  run_case "$1: a pull that was killed goes on" killed_pull open/killed
  stop_server || true
}

through_gate() { # NUMBER COMMAND...
  local registry=$REGISTRY server=$SERVER_PID
  open_gate "$1"
  "${@:2}"
  stop_server || true
  REGISTRY=$registry SERVER_PID=$server
}

by_basic_authentication() { # PEER
  start_guarded "$1" "$WORK/$1-basic" basic
  guarded "$1, basic"
  stop_server || true
}

by_tokens() { # PEER
  start_guarded "$1" "$WORK/$1-token" token
  guarded "$1, tokens"
  run_case "$1, tokens: only what is needed is asked for" scopes_are_narrow
  run_case "$1, tokens: an identity token" by_identity_token ada/identity
  run_case "$1, tokens: what is not granted is refused" refused_push elsewhere/small "$PASSWORD"
  stop_server || true
}

guarded() { # WHAT
  log_in "$PASSWORD"
  run_case "$1: push and pull an image" guarded_round_trip ada/small small
  run_case "$1: push and pull layers of 5, 20 and 64 MiB" guarded_round_trip ada/large large
  run_case "$1: copy within the registry" guarded_copy ada/large ada/copy large
  run_case "$1: a password from standard input" password_from_input ada/input small
  run_case "$1: a wrong password is told and pushes nothing" refused_push ada/refused "not it"
  run_case "$1: nobody is told and pushes nothing" refused_push ada/refused
}

between() { # FROM TO: two registries at once
  start_guarded "$1" "$WORK/$1-open" none
  local from=$REGISTRY
  start_guarded "$2" "$WORK/$2-from-$1" none
  log_out
  run_case "copy from $1 to $2" copy_between "$from/open/multi:v1" open/multi multi
  stop_server || true
}

need_longshore
need_debian curl=curl python3=python3 jq=jq ps=procps skopeo=skopeo htpasswd=apache2-utils openssl=openssl
for peer in "${PEERS[@]}"; do install_peer "$peer"; done
export HOME=$WORK/home XDG_CACHE_HOME=$WORK/cache # no client reads or leaves anything in the user's own
unset DOCKER_CONFIG XDG_RUNTIME_DIR
mkdir -p "$HOME"
make_images
make_secrets
for peer in "${PEERS[@]}"; do
  open_to_all "$peer"
  by_basic_authentication "$peer"
  by_tokens "$peer"
done
[[ ${#PEERS[@]} == 1 ]] || between "${PEERS[0]}" "${PEERS[1]}"
close_cases "own client"

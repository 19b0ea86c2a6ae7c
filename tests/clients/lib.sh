# shellcheck shell=bash
# Shared by the scripts that try longshore with other programs. To be sourced, not run.
#
# It gives: the tools to install (need_*), servers on free loopback ports (start_longshore,
# start_server, stop_server), test images (make_images, image_digest, check_layout, check_remote,
# skopeo_push, skopeo_pull), and cases that are counted (run_case, close_cases).
#
# Environment:
#   LONGSHORE_BIN   the registry's binary, target/release/longshore by default. Anything that
#                   understands `serve --addr A --admin-addr A --storage S [--root DIR]` will do.
#   CLIENTS_CACHE   where Go programs and the Python environment are kept between runs,
#                   ~/.cache/longshore-clients by default.
#   CASE_TIMEOUT    seconds after which a case fails, 180 by default.
#   KEEP_WORK       when set, the working folder (logs, images, data) is left in place.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
HERE=$ROOT/tests/clients
LONGSHORE_BIN=${LONGSHORE_BIN:-$ROOT/target/release/longshore}
CLIENTS_CACHE=${CLIENTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/longshore-clients}
CASE_TIMEOUT=${CASE_TIMEOUT:-180}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/longshore-clients.XXXXXX")
IMAGES=$WORK/images
PASSED=0
FAILED=0
RUNNING=()      # pids of the servers that are up
SERVER_PID=     # the one started last
CASE_PID=       # the case under way, leader of its process group
REGISTRY=       # host:port of that one

export PATH=$CLIENTS_CACHE/bin:$PATH

clean_up() {
  local pid
  [[ -z $CASE_PID ]] || kill -TERM -- "-$CASE_PID" 2>/dev/null || true
  for pid in "${RUNNING[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${RUNNING[@]}"; do wait "$pid" 2>/dev/null || true; done
  if [[ -n ${KEEP_WORK:-} ]]; then echo "kept: $WORK" >&2; else rm -rf "$WORK"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() {
  echo "$*" >&2
  exit 2
}

# --- what must be installed ---------------------------------------------------------------------

need_longshore() {
  [[ -x $LONGSHORE_BIN ]] || die "$LONGSHORE_BIN is missing: run 'cargo build --release' first"
}

need_debian() { # COMMAND=PACKAGE...: installs those packages whose command is missing
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  if ((${#missing[@]} == 0)); then return; fi
  echo "installing ${missing[*]}" >&2
  if ! apt_install "${missing[@]}"; then
    apt-get update -qq >&2
    apt_install "${missing[@]}" || die "apt-get could not install ${missing[*]}"
  fi
}

need_debian_binary() { # PACKAGE PATH: only that file of it, so that no service is set up or started
  local cached=$CLIENTS_CACHE/debian/$1
  if [[ -x $cached/$2 ]]; then return; fi
  echo "fetching $1" >&2
  mkdir -p "$WORK/debs" "$cached"
  (cd "$WORK/debs" && { apt-get download -qq "$1" || { apt-get update -qq && apt-get download -qq "$1"; }; }) \
    </dev/null >"$WORK/apt.log" 2>&1 || die "apt-get could not download $1: $(tail -n 3 "$WORK/apt.log")"
  dpkg-deb -x "$WORK/debs/$1"_*.deb "$cached"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" \
    </dev/null >"$WORK/apt.log" 2>&1
}

need_go_program() { # COMMAND MODULE@VERSION: builds it into the cache, unless it is there
  local command=$1 module=$2 stamp=$CLIENTS_CACHE/bin/.$1.version
  if [[ -x $CLIENTS_CACHE/bin/$command && $(cat "$stamp" 2>/dev/null) == "$module" ]]; then return; fi
  command -v go >/dev/null || die "go is needed to build $command (https://go.dev/dl)"
  echo "building $module" >&2
  mkdir -p "$CLIENTS_CACHE/bin"
  GOBIN=$CLIENTS_CACHE/bin nice go install "$module" </dev/null >"$WORK/go-$command.log" 2>&1 || {
    cat "$WORK/go-$command.log" >&2
    die "could not build $module"
  }
  echo "$module" >"$stamp"
}

need_python_package() { # PACKAGE==VERSION: into an environment of its own; sets PYTHON
  local environment=$CLIENTS_CACHE/venv stamp
  stamp=$environment/.installed-$1
  PYTHON=$environment/bin/python
  if [[ -x $PYTHON && -e $stamp ]]; then return; fi
  echo "installing $1" >&2
  if ! python3 -m venv --clear "$environment" >"$WORK/venv.log" 2>&1; then
    need_debian "no command of its own=python3-venv"
    python3 -m venv --clear "$environment"
  fi
  "$PYTHON" -m pip install -q "$1" </dev/null >&2
  touch "$stamp"
}

# --- servers ------------------------------------------------------------------------------------

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

start_longshore() { # ROOT_FOLDER [STORAGE]: sets REGISTRY and SERVER_PID
  local port admin storage=(--storage "${2:-filesystem}")
  port=$(free_port) admin=$(free_port)
  [[ ${storage[1]} != filesystem ]] || storage+=(--root "$1")
  start_server "$port" "$LONGSHORE_BIN" serve --addr "127.0.0.1:$port" \
    --admin-addr "127.0.0.1:$admin" "${storage[@]}"
}

start_server() { # PORT COMMAND...: waits until /v2/ answers, be it that it wants to know who asks
  local port=$1 log=$WORK/server-$1.log
  shift
  "$@" </dev/null >"$log" 2>&1 &
  SERVER_PID=$!
  RUNNING+=("$SERVER_PID")
  REGISTRY=127.0.0.1:$port
  local deadline=$((SECONDS + 30))
  until [[ $(curl -sS -o /dev/null -w '%{http_code}' "http://$REGISTRY/v2/" 2>/dev/null) =~ ^(200|401)$ ]]; do
    kill -0 "$SERVER_PID" 2>/dev/null || { cat "$log" >&2; die "$1 ended at its start"; }
    ((SECONDS < deadline)) || { cat "$log" >&2; die "$1 does not answer on $REGISTRY"; }
    sleep 0.1
  done
}

stop_server() { # stops the one started last, in good order; its exit status is this one's
  local status=0 pid others=()
  kill -TERM "$SERVER_PID" 2>/dev/null || true
  wait "$SERVER_PID" || status=$?
  for pid in "${RUNNING[@]}"; do [[ $pid == "$SERVER_PID" ]] || others+=("$pid"); done
  RUNNING=("${others[@]}")
  return "$status"
}

# --- test content -------------------------------------------------------------------------------

make_images() { # writes $IMAGES/{small,large,multi,nested,signature,sbom,fallback}, an OCI layout each
  python3 "$HERE/oci_layout.py" make "$IMAGES"
}

image_digest() { python3 "$HERE/oci_layout.py" digest "$IMAGES/$1"; }

check_layout() { # LAYOUT DIGEST: everything it leads to is in the layout and hashes right
  python3 "$HERE/oci_layout.py" verify "$1" "$2"
}

check_remote() { # REPOSITORY REFERENCE DIGEST: the registry gives that, complete, by its plain API
  local found
  found=$(python3 "$HERE/oci_layout.py" remote "http://$REGISTRY" "$1" "$2")
  expect "$3" "$found" "digest of $1:$2"
}

sha256_of() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }

expect() { # EXPECTED FOUND WHAT
  [[ $1 == "$2" ]] || {
    printf '%s\n  expected: %s\n  found:    %s\n' "$3" "$1" "$2"
    return 1
  }
}

expect_status() { # STATUS CURL_ARGUMENT...
  local wanted=$1
  shift
  expect "$wanted" "$(curl -sS -o /dev/null -w '%{http_code}' "$@")" "status of ${*: -1}"
}

tags_of() { # REPOSITORY: its tags in one line
  curl -fsS "http://$REGISTRY/v2/$1/tags/list" | jq -r '(.tags // []) | join(" ")'
}

# --- moving images with skopeo ------------------------------------------------------------------

# shellcheck disable=SC2034 # used by those who source this file
SCHEMA2=application/vnd.docker.distribution.manifest.v2+json

# FROM TO [OPTION...]: any address skopeo knows, digests kept
skopeo_transfer() {
  skopeo --insecure-policy copy --all --preserve-digests --src-tls-verify=false \
    --dest-tls-verify=false "${@:3}" "$1" "$2"
}

skopeo_push() { # IMAGE REPOSITORY TAG
  skopeo_transfer "oci:$IMAGES/$1:latest" "docker://$REGISTRY/$2:$3"
}

skopeo_pull() { # REPOSITORY REFERENCE(:tag or @digest) DIGEST: into a fresh layout, which is checked
  local layout
  layout=$(mktemp -d "$WORK/pulled.XXXXXX")
  skopeo_transfer "docker://$REGISTRY/$1$2" "oci:$layout:latest"
  check_layout "$layout" "$3"
  rm -rf "$layout"
}

skopeo_push_schema2() { # IMAGE REPOSITORY TAG: converted to Docker's own media types
  skopeo --insecure-policy copy --dest-tls-verify=false --format v2s2 \
    "oci:$IMAGES/$1:latest" "docker://$REGISTRY/$2:$3"
}

# --- cases --------------------------------------------------------------------------------------

run_case() { # NAME COMMAND...: in a subshell that ends at the first failure; output only if it fails
  local name=$1 log=$WORK/case.log status=0 watcher
  shift
  set -m # a process group of its own, so that a time-out ends all of the case
  (set -euo pipefail; trap - EXIT INT TERM; "$@") </dev/null >"$log" 2>&1 &
  CASE_PID=$!
  set +m
  (sleep "$CASE_TIMEOUT" && kill -TERM -- "-$CASE_PID") 2>/dev/null &
  watcher=$!
  wait "$CASE_PID" || status=$?
  CASE_PID=
  end_watcher "$watcher"
  if ((status == 0)); then
    PASSED=$((PASSED + 1))
    echo "ok   $name"
  else
    FAILED=$((FAILED + 1))
    ((status != 143)) || status="$status: ended by a signal, or not done in $CASE_TIMEOUT s"
    echo "FAIL $name (status $status)"
    tail -n 25 "$log" | sed 's/^/     | /'
  fi
}

end_watcher() { # the sleep below it first: it would outlive its parent
  local child
  child=$(ps -o pid= --ppid "$1" 2>/dev/null) || true
  kill "$1" 2>/dev/null || true
  # shellcheck disable=SC2086 # one pid or none
  [[ -z $child ]] || kill $child 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

close_cases() { # TITLE: the closing line; fails when a case failed or none ran
  echo "$1: $PASSED passed, $FAILED failed"
  ((FAILED == 0 && PASSED > 0))
}

# shellcheck shell=bash
# The registries that are set side by side.

# Set by start_all, one entry a registry.
TARGETS=()
ADDRESSES=()
PIDS=()

NAMES=()      # of those that take part, in the table's order
declare -A SYNCED=()  # by name, what it syncs of a push: `LEVEL<tab>WORDS`, see take

install_all() {
  local variable
  install_peer debian
  install_peer v3
  take longshore-process nothing "nothing"
  take longshore-commit all "all that a commit answers for: data, record, links, folders"
  take docker-registry data "data, at commit"
  take distribution-v3 all "data at each PATCH and at commit, small files with their folder"
  [[ -z ${PEER_ZOT:-} ]] || { need_program "$PEER_ZOT"; take zot nothing "nothing (its default)"; }
  [[ -z ${PEER_OLAREG:-} ]] || { need_program "$PEER_OLAREG"; take olareg nothing "nothing"; }
  for variable in "${!PEER_CMD_@}"; do take "$(name_of_command "$variable")" unknown "unknown"; done
}

take() { # NAME LEVEL(nothing, data, all, unknown) WORDS
  NAMES+=("$1")
  SYNCED[$1]=$2$'\t'$3
}

tell_registries() { # a line each: NAME<tab>LEVEL<tab>WORDS<tab>VERSION
  local name version
  for name in "${NAMES[@]}"; do
    version=$(version_of "$name") || true
    printf '%s\t%s\t%s\n' "$name" "${SYNCED[$name]}" "${version:-unknown}"
  done
  printf 'control\tnothing\tnothing\t%s\n' "$(version_of longshore-process)"
}

version_of() { # NAME
  case $1 in
    longshore-*) echo "$("$LONGSHORE_BIN" --version) ($(commit_of_sources))" ;;
    docker-registry | distribution-v3)
      "$(peer_binary "$([[ $1 == docker-registry ]] && echo debian || echo v3)")" --version | awk '{print $NF}'
      ;;
    zot) "$PEER_ZOT" --version 2>&1 | sed -nE 's/.*"commit":"([^"]+)".*/\1/p' ;;
    olareg) "$PEER_OLAREG" version | awk '/^VCSTag/ {print $2}' ;;
    *) echo unknown ;;
  esac
}

commit_of_sources() {
  git -C "$ROOT" describe --always --dirty --abbrev=10 2>/dev/null || echo "no repository"
}

tell_surroundings() { # NAME<tab>VALUE
  printf 'date\t%s\nfile system\t%s\ncpu family\t%s\n' "$(date -u +%Y-%m-%d)" \
    "$(df --output=fstype "$WORK" | tail -n 1)" \
    "$(awk -F': *' '/^vendor_id|^cpu family|^model[[:space:]]*:/ {printf "%s ", $2} /^$/ {exit}' /proc/cpuinfo)"
}

need_program() { [[ -x $1 ]] || die "$1 is no program"; }

name_of_command() { # VARIABLE
  local name=${1#PEER_CMD_}
  name=${name,,}
  echo "${name//_/-}"
}

start_all() { # NAME...: each on a fresh folder
  local name
  TARGETS=() ADDRESSES=() PIDS=()
  for name in "$@"; do
    mkdir -p "$WORK/data/$name"
    start_one "$name" "$WORK/data/$name"
    TARGETS+=("$name") ADDRESSES+=("$REGISTRY") PIDS+=("$SERVER_PID")
  done
}

start_one() { # NAME FOLDER
  case $1 in
    # Others do not log each request either.
    longshore-*)
      LONGSHORE__LOG__LEVEL=warn LONGSHORE__STORAGE__DURABILITY=${1#longshore-} start_longshore "$2"
      ;;
    docker-registry) start_peer debian "$2" ;;
    distribution-v3) start_peer v3 "$2" ;;
    zot) start_zot "$2" ;;
    olareg) start_olareg "$2" ;;
    *) start_command "$1" "$2" ;;
  esac
}

start_zot() { # FOLDER
  local port
  port=$(free_port)
  cat >"$WORK/zot.json" <<JSON
{
  "distSpecVersion": "1.1.1",
  "storage": {"rootDirectory": "$1"},
  "http": {"address": "127.0.0.1", "port": "$port"},
  "log": {"level": "error"}
}
JSON
  start_server "$port" "$PEER_ZOT" serve "$WORK/zot.json"
}

start_olareg() { # FOLDER
  local port
  port=$(free_port)
  start_server "$port" "$PEER_OLAREG" serve --addr 127.0.0.1 --port "$port" --dir "$1" \
    --api-delete --api-blob-delete
}

start_command() { # NAME FOLDER
  local port variable
  port=$(free_port)
  variable=${1//-/_}
  variable=PEER_CMD_${variable^^}
  # The shell becomes the program, whose pid it then has.
  start_server "$port" env PORT="$port" FOLDER="$2" bash -c "exec ${!variable}"
}

stop_all() { # by their ids; what they kept goes
  local pid
  for pid in "${RUNNING[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${RUNNING[@]}"; do end_in_time "$pid"; done
  RUNNING=()
  rm -rf "$WORK/data"
  # What is still to be written would be written in the next one's turn.
  sync -f "$WORK"
}

end_in_time() { # PID: killed when it has not ended within ten seconds
  local deadline=$((SECONDS + 10))
  while kill -0 "$1" 2>/dev/null; do
    if ((SECONDS >= deadline)); then kill -KILL "$1" 2>/dev/null || true; fi
    sleep 0.1
  done
  wait "$1" 2>/dev/null || true
}

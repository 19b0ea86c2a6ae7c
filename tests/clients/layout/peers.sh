# shellcheck shell=bash
# The registries that share a folder with longshore: Debian's docker-registry and distribution v3.

DEBIAN_BIN=$CLIENTS_CACHE/debian/docker-registry/usr/bin/docker-registry
V3_BIN=$CLIENTS_CACHE/bin/registry

install_peer() {
  case $1 in
    debian) need_debian_binary docker-registry usr/bin/docker-registry ;;
    v3) need_go_program registry github.com/distribution/distribution/v3/cmd/registry@v3.1.2 ;;
    *) die "no such peer: $1 (there are: debian v3)" ;;
  esac
}

peer_binary() { if [[ $1 == debian ]]; then echo "$DEBIAN_BIN"; else echo "$V3_BIN"; fi; }

peer_config() { # ADDRESS FOLDER
  cat <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: "$2"}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: "$1"}
YAML
}

start_peer() { # PEER FOLDER
  local port
  port=$(free_port)
  peer_config "127.0.0.1:$port" "$2" >"$WORK/peer.yml"
  start_server "$port" env OTEL_TRACES_EXPORTER=none "$(peer_binary "$1")" serve "$WORK/peer.yml"
}

collect_garbage() { # PEER FOLDER: distribution's own collector reads all of the layout
  peer_config 127.0.0.1:0 "$2" >"$WORK/collector.yml"
  "$(peer_binary "$1")" garbage-collect "$WORK/collector.yml"
}

# shellcheck shell=bash
# Registries of others that want to know who asks: nobody, by basic authentication, by tokens.

NAME_OF_USER=ada
PASSWORD='a pass:word'
IDENTITY_TOKEN=an-identity-token

make_secrets() { # a password file, a key pair, and the token service
  htpasswd -Bbn "$NAME_OF_USER" "$PASSWORD" >"$WORK/htpasswd"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$WORK/token.key" -out "$WORK/token.crt" -days 2 \
    -subj /CN=token-server 2>/dev/null
  TOKEN_PORT=$(free_port)
  TOKEN_LOG=$WORK/token.log
  : >"$TOKEN_LOG"
  python3 "$HERE/own/token_server.py" "$TOKEN_PORT" "$WORK/token.key" "$WORK/token.crt" "$NAME_OF_USER" \
    "$PASSWORD" "$IDENTITY_TOKEN" "$TOKEN_LOG" </dev/null >"$WORK/token-server.log" 2>&1 &
  RUNNING+=($!)
  local deadline=$((SECONDS + 30))
  until [[ $(curl -sS -o /dev/null -w '%{http_code}' "http://127.0.0.1:$TOKEN_PORT/token" 2>/dev/null) == 401 ]]; do
    ((SECONDS < deadline)) || { cat "$WORK/token-server.log" >&2; die "the token service does not answer"; }
    sleep 0.1
  done
}

auth_config() { # none, basic or token
  case $1 in
    none) ;;
    basic) echo "auth: {htpasswd: {realm: here, path: \"$WORK/htpasswd\"}}" ;;
    token)
      echo "auth: {token: {realm: \"http://127.0.0.1:$TOKEN_PORT/token\", service: here," \
        "issuer: token-server, rootcertbundle: \"$WORK/token.crt\"}}"
      ;;
  esac
}

start_guarded() { # PEER FOLDER none|basic|token: sets REGISTRY and SERVER_PID, and SERVER_LOG with a line a request
  local port
  port=$(free_port)
  {
    cat <<YAML
version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: "$2"}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: "127.0.0.1:$port"}
YAML
    auth_config "$3"
  } >"$WORK/peer-$port.yml"
  start_server "$port" env OTEL_TRACES_EXPORTER=none "$(peer_binary "$1")" serve "$WORK/peer-$port.yml"
  # shellcheck disable=SC2034 # the cases read it
  SERVER_LOG=$WORK/server-$port.log
}

open_gate() { # NUMBER: before the registry that runs; sets REGISTRY and SERVER_PID to it
  local port
  port=$(free_port)
  rm -f "$WORK/held"
  start_server "$port" python3 "$HERE/own/gate.py" "$port" "${REGISTRY##*:}" "$1" "$WORK/held"
}

log_in() { # PASSWORD: docker's configuration, as `docker login` writes it
  mkdir -p "$HOME/.docker"
  jq -n --arg registry "$REGISTRY" --arg auth "$(printf '%s:%s' "$NAME_OF_USER" "$1" | base64 -w 0)" \
    '{auths: {($registry): {auth: $auth}}}' >"$HOME/.docker/config.json"
}

log_in_by_identity_token() { # TOKEN
  jq -n --arg registry "$REGISTRY" --arg token "$1" \
    '{auths: {($registry): {auth: "MDAwMDo=", identitytoken: $token}}}' >"$HOME/.docker/config.json"
}

log_out() { rm -f "$HOME/.docker/config.json"; }

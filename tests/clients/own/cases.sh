# shellcheck shell=bash
# What longshore's client is tried with. Each function is a case; see own-client.sh.

BIG_BYTES=$((384 << 20)) # long enough on its way to be caught there

ours() { "$LONGSHORE_BIN" "$@"; }

pull_and_check() { # REPOSITORY DIGEST
  rm -rf "$WORK/pulled"
  ours pull "$REGISTRY/$1:v1" --output "$WORK/pulled"
  check_layout "$WORK/pulled" "$2"
}

# --- registries that are open to all --------------------------------------------------------------

round_trip() { # REPOSITORY IMAGE
  local digest
  digest=$(image_digest "$2")
  ours push "$IMAGES/$2" "$REGISTRY/$1:v1"
  check_remote "$1" v1 "$digest"
  pull_and_check "$1" "$digest"
}

chunked_push() { # REPOSITORY IMAGE
  ours push "$IMAGES/$2" "$REGISTRY/$1:v1" --chunk-size 1MiB
  check_remote "$1" v1 "$(image_digest "$2")"
}

tarball_round_trip() { # REPOSITORY IMAGE
  local digest
  digest=$(image_digest "$2")
  rm -rf "$WORK/unpacked" "$WORK/pulled.tar"
  tar -C "$IMAGES/$2" -czf "$WORK/pushed.tar.gz" .
  ours push "$WORK/pushed.tar.gz" "$REGISTRY/$1:v1"
  check_remote "$1" v1 "$digest"
  ours pull "$REGISTRY/$1:v1" --output "$WORK/pulled.tar"
  mkdir "$WORK/unpacked"
  tar -C "$WORK/unpacked" -xf "$WORK/pulled.tar"
  check_layout "$WORK/unpacked" "$digest"
}

push_file() { # FILE REPOSITORY
  ours push "$1" "$REGISTRY/$2:v1"
}

pull_file() { # FILE REPOSITORY: what comes back is the file
  rm -rf "$WORK/pulled"
  ours pull "$REGISTRY/$2:v1" --output "$WORK/pulled"
  cmp "$1" "$WORK/pulled/blobs/sha256/$(sha256sum <"$1" | cut -d' ' -f1)"
}

file_round_trip() { # REPOSITORY
  head -c 3000000 /dev/urandom >"$WORK/file.bin"
  push_file "$WORK/file.bin" "$1"
  pull_file "$WORK/file.bin" "$1"
}

copy_within() { # FROM TO IMAGE
  ours copy "$REGISTRY/$1:v1" "$REGISTRY/$2:v1"
  check_remote "$2" v1 "$(image_digest "$3")"
  expect 4 "$(requests "POST /v2/$2/blobs/uploads/\?[^ ]*mount=[^ ]* HTTP/1.1\" 201")" "mounts (3 layers, 1 config)"
  expect 0 "$(requests "(PATCH|PUT) /v2/$2/blobs/")" "requests with bodies of blobs"
}

copy_between() { # FROM_REFERENCE REPOSITORY IMAGE
  ours copy "$1" "$REGISTRY/$2:v1"
  check_remote "$2" v1 "$(image_digest "$3")"
}

# --- killed on the way ----------------------------------------------------------------------------

# distribution forgets an upload whose body broke off, so nothing can be gone on with then.
killed_push() { # REPOSITORY
  head -c "$BIG_BYTES" /dev/urandom >"$WORK/big.bin"
  "$LONGSHORE_BIN" push "$WORK/big.bin" "$REGISTRY/$1:v1" & # no function, whose shell alone would be killed
  kill_when "$!" is_large "$WORK" "*/$1/_uploads/*/data"
  push_file "$WORK/big.bin" "$1"
  pull_file "$WORK/big.bin" "$1"
}

# Between two bodies it keeps what it has. The fourth one of 16 MiB is held at the gate that REGISTRY is.
killed_push_goes_on() { # REPOSITORY
  local upload bodies
  head -c $((100 << 20)) /dev/urandom >"$WORK/big.bin"
  "$LONGSHORE_BIN" push "$WORK/big.bin" "$REGISTRY/$1:v1" --chunk-size 16MiB --jobs 1 &
  kill_when "$!" test -e "$WORK/held"
  upload=$(basename "$(dirname "$(find "$WORK" -path "*/$1/_uploads/*/data" -size +16M)")")
  bodies=$(requests "PATCH /v2/$1/blobs/uploads/$upload")
  ours push "$WORK/big.bin" "$REGISTRY/$1:v1" --chunk-size 16MiB --jobs 1
  expect 1 "$(requests "PUT /v2/$1/blobs/uploads/${upload}[^ ]* HTTP/1.1\" 201")" "end of the upload that was cut"
  expect 7 "$(requests "PATCH /v2/$1/blobs/uploads/${upload}[^ ]* HTTP/1.1\" 202")" "bodies of it in all ($bodies before)"
  pull_file "$WORK/big.bin" "$1"
}

killed_pull() { # REPOSITORY: that killed_push has filled
  local size
  size=$(stat -c %s "$WORK/big.bin")
  rm -rf "$WORK/pulled"
  "$LONGSHORE_BIN" pull "$REGISTRY/$1:v1" --output "$WORK/pulled" &
  kill_when "$!" is_large "$WORK/pulled" '*'
  ours pull "$REGISTRY/$1:v1" --output "$WORK/pulled"
  expect 1 "$(requests "GET /v2/$1/blobs/sha256:[^ ]* HTTP/1.1\" 206")" "pulls that went on in the middle of $size"
  cmp "$WORK/big.bin" "$WORK/pulled/blobs/sha256/$(sha256sum <"$WORK/big.bin" | cut -d' ' -f1)"
}

is_large() { # FOLDER PATTERN: whether a file there has 32 MiB
  [[ -n $(find "$1" -path "$2" -type f -size +32M 2>/dev/null) ]]
}

kill_when() { # PID COMMAND...: kill -9, once that succeeds
  local pid=$1
  shift
  until "$@"; do
    kill -0 "$pid" || { echo "it ended before it was killed"; return 1; }
  done
  kill -KILL "$pid"
  wait "$pid" || true
}

requests() { # PATTERN: how many lines of the server's log begin a request with it
  grep -cE "\"$1" "$SERVER_LOG" || true
}

# --- registries that want to know who asks --------------------------------------------------------

check_guarded() { # REPOSITORY DIGEST: read by somebody else's client
  local found
  found=$(skopeo inspect --raw --tls-verify=false --creds "$NAME_OF_USER:$PASSWORD" "docker://$REGISTRY/$1:v1" |
    sha256sum | cut -d' ' -f1)
  expect "$2" "sha256:$found" "digest of $1:v1"
}

guarded_round_trip() { # REPOSITORY IMAGE
  local digest
  digest=$(image_digest "$2")
  ours push "$IMAGES/$2" "$REGISTRY/$1:v1"
  check_guarded "$1" "$digest"
  pull_and_check "$1" "$digest"
}

guarded_copy() { # FROM TO IMAGE
  ours copy "$REGISTRY/$1:v1" "$REGISTRY/$2:v1"
  check_guarded "$2" "$(image_digest "$3")"
}

password_from_input() { # REPOSITORY IMAGE: docker's configuration knows nobody
  log_out
  ours push "$IMAGES/$2" "$REGISTRY/$1:v1" --user "$NAME_OF_USER" <<<"$PASSWORD"
  check_guarded "$1" "$(image_digest "$2")"
}

refused_push() { # REPOSITORY [PASSWORD]
  local status=0
  if (($# > 1)); then log_in "$2"; else log_out; fi
  ours push "$IMAGES/small" "$REGISTRY/$1:v1" >"$WORK/refused.log" 2>&1 || status=$?
  cat "$WORK/refused.log"
  expect 1 "$status" "exit status"
  # A look-up is answered without a body, so without words.
  grep -qiE 'unauthorized|denied|answered 40[13]' "$WORK/refused.log"
  # A secret in an error would end in somebody's log.
  [[ -z ${2:-} ]] || { ! grep -qF "$2" "$WORK/refused.log"; }
  expect 0 "$(requests "(POST|PATCH|PUT) /v2/$1/.* 20[0-9] ")" "requests that were answered well"
}

by_identity_token() { # REPOSITORY
  log_in_by_identity_token "$IDENTITY_TOKEN"
  ours push "$IMAGES/small" "$REGISTRY/$1:v1"
  check_guarded "$1" "$(image_digest small)"
  grep -q "^POST 200 .*repository:$1:" "$TOKEN_LOG"
  log_in_by_identity_token "another one"
  ! ours pull "$REGISTRY/$1:v1" --output "$WORK/never"
  grep -q "^POST 401 .*repository:$1:" "$TOKEN_LOG"
}

scopes_are_narrow() { # for a pull no more than pulling is asked for
  log_in "$PASSWORD"
  : >"$TOKEN_LOG"
  pull_and_check ada/small "$(image_digest small)"
  grep -q '^GET 200 repository:ada/small:pull$' "$TOKEN_LOG"
  ! grep -qE 'push|delete|\*' "$TOKEN_LOG"
}

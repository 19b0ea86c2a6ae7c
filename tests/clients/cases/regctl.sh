# shellcheck shell=bash
# regctl: POST and PUT, or chunks with Content-Range when told so; referrers; sha512.

install_regctl() { need_go_program regctl github.com/regclient/regclient/cmd/regctl@v0.11.7; }

cases_regctl() {
  regctl_config plain
  regctl_config chunks --blob-max 65536 --blob-chunk 65536
  regctl_config large-chunks --blob-max 1048576 --blob-chunk 5000000
  run_case "regctl: push and pull" regctl_round_trip plain small
  run_case "regctl: push and pull layers of 5, 20 and 64 MiB" regctl_round_trip plain large
  run_case "regctl: multi-platform index" regctl_round_trip plain multi
  run_case "regctl: index of indexes" regctl_round_trip plain nested
  run_case "regctl: blobs in chunks of 64 KiB" regctl_round_trip chunks small
  run_case "regctl: blobs in chunks of 5 MB" regctl_round_trip large-chunks large
  run_case "regctl: single blob: put, get, delete" regctl_blob
  run_case "regctl: artifact with subject, referrers" regctl_artifact
  run_case "regctl: copy between repositories with referrers" regctl_copy
  run_case "regctl: sha512" regctl_sha512
  run_case "regctl: tags by pages" regctl_tags
  run_case "regctl: catalog by pages" regctl_catalog
  run_case "regctl: delete tag and manifest" regctl_delete
}

regctl_config() { # NAME SETTING...: a configuration of that name
  REGCTL_CONFIG=$WORK/regctl-$1.json regctl registry set --skip-check --tls disabled "${@:2}" "$REGISTRY"
}

regctl_with() { # CONFIGURATION ARGUMENT...
  REGCTL_CONFIG=$WORK/regctl-$1.json regctl "${@:2}"
}

regctl_round_trip() { # CONFIGURATION IMAGE
  local digest repository=regctl/$1/$2 layout=$WORK/regctl-$1-$2
  digest=$(image_digest "$2")
  regctl_with "$1" image copy "ocidir://$IMAGES/$2:latest" "$REGISTRY/$repository:v1"
  check_remote "$repository" v1 "$digest"
  regctl_with "$1" image copy "$REGISTRY/$repository:v1" "ocidir://$layout:v1"
  check_layout "$layout" "$digest"
  rm -rf "$layout"
}

regctl_blob() {
  local digest repository=regctl/blob
  head -c 777777 /dev/urandom >"$WORK/blob"
  digest=$(regctl_with chunks blob put "$REGISTRY/$repository" <"$WORK/blob")
  expect "$(sha256_of "$WORK/blob")" "$digest" digest
  regctl_with plain blob get "$REGISTRY/$repository" "$digest" | cmp "$WORK/blob" -
  regctl_with plain blob delete "$REGISTRY/$repository" "$digest"
  expect_status 404 "http://$REGISTRY/v2/$repository/blobs/$digest"
}

referrers_of() { # REPOSITORY DIGEST [FILTER]: their types, sorted, in one line
  curl -fsS "http://$REGISTRY/v2/$1/referrers/$2${3:+?artifactType=$3}" |
    jq -r '[.manifests[].artifactType] | sort | join(" ")'
}

regctl_artifact() {
  local subject name repository=regctl/plain/small
  subject=$(image_digest small)
  for name in one two; do
    echo "$name" | regctl_with plain artifact put --artifact-type "application/x.$name" \
      --annotation "org.example.name=$name" --subject "$REGISTRY/$repository:v1"
  done
  expect "application/x.one application/x.two" "$(referrers_of $repository "$subject")" referrers
  expect application/x.two "$(referrers_of $repository "$subject" application/x.two)" "with a filter"
  expect 2 "$(regctl_with plain artifact list "$REGISTRY/$repository:v1" \
    --format '{{len .Descriptors}}')" "referrers listed"
  expect one "$(regctl_with plain artifact get --subject "$REGISTRY/$repository:v1" \
    --filter-artifact-type application/x.one)" "content of the artifact"
  expect v1 "$(tags_of $repository)" "tags: no fallback tag is needed"
}

regctl_copy() { # several times: referrers are pushed at once, and none may get lost on the way
  local subject n
  subject=$(image_digest small)
  for n in {1..12}; do
    regctl_with plain image copy --referrers "$REGISTRY/regctl/plain/small:v1" "$REGISTRY/regctl/copy-$n:v1"
    expect "application/x.one application/x.two" "$(referrers_of "regctl/copy-$n" "$subject")" \
      "referrers in copy $n"
  done
  check_remote regctl/copy-1 v1 "$subject"
}

regctl_sha512() {
  local digest repository=regctl/plain/multi
  regctl_with plain image mod --digest-algo sha512 --create "$REGISTRY/$repository:sha512" \
    "$REGISTRY/$repository:v1"
  digest=$(regctl_with plain image digest "$REGISTRY/$repository:sha512")
  expect sha512 "${digest%%:*}" algorithm
  check_remote $repository sha512 "$digest"
}

regctl_tags() {
  local tag repository=regctl/tags
  for tag in a b c d e; do
    regctl_with plain image copy "ocidir://$IMAGES/small:latest" "$REGISTRY/$repository:$tag"
  done
  expect "a b c d e" "$(regctl_with plain tag ls "$REGISTRY/$repository" | paste -sd' ')" tags
  expect "c d" "$(regctl_with plain tag ls --limit 2 --last b "$REGISTRY/$repository" |
    paste -sd' ')" "page after b"
}

regctl_catalog() {
  local all page last=
  all=$(regctl_with plain repo ls "$REGISTRY")
  while page=$(regctl_with plain repo ls --limit 3 ${last:+--last "$last"} "$REGISTRY") && [[ $page ]]; do
    last=$(tail -n 1 <<<"$page")
    echo "$page"
  done >"$WORK/pages"
  expect "$all" "$(cat "$WORK/pages")" repositories
  grep -qx regctl/tags "$WORK/pages"
}

regctl_delete() {
  local digest repository=regctl/tags
  digest=$(image_digest small)
  regctl_with plain tag delete "$REGISTRY/$repository:b"
  expect "a c d e" "$(tags_of $repository)" "tags"
  check_remote $repository "$digest" "$digest"
  regctl_with plain manifest delete "$REGISTRY/$repository@$digest"
  expect_status 404 "http://$REGISTRY/v2/$repository/manifests/a"
  expect "" "$(tags_of $repository)" "tags at the end"
}

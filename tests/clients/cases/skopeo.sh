# shellcheck shell=bash
# skopeo: streams each blob in one PATCH, then closes it with an empty PUT; mounts what it saw before.

install_skopeo() { need_debian skopeo=skopeo; }

cases_skopeo() {
  run_case "skopeo: push and pull" skopeo_round_trip small
  run_case "skopeo: push and pull layers of 5, 20 and 64 MiB" skopeo_round_trip large
  run_case "skopeo: multi-platform index" skopeo_round_trip multi
  run_case "skopeo: one platform of the index" skopeo_one_platform
  run_case "skopeo: artifact with a subject" skopeo_round_trip signature
  run_case "skopeo: push again, nothing to send" skopeo_round_trip small
  run_case "skopeo: copy between repositories" skopeo_copy
  run_case "skopeo: convert to Docker schema 2" skopeo_schema2
  run_case "skopeo: list tags" skopeo_list
  run_case "skopeo: delete" skopeo_delete
}

skopeo_round_trip() { # IMAGE
  local digest
  digest=$(image_digest "$1")
  skopeo_push "$1" skopeo/"$1" v1
  check_remote skopeo/"$1" v1 "$digest"
  skopeo_pull skopeo/"$1" :v1 "$digest"
  skopeo_pull skopeo/"$1" "@$digest" "$digest"
}

skopeo_one_platform() {
  local found
  found=$(skopeo --override-arch arm64 inspect --tls-verify=false \
    "docker://$REGISTRY/skopeo/multi:v1" | jq -r .Architecture)
  expect arm64 "$found" architecture
}

skopeo_copy() {
  skopeo_transfer "docker://$REGISTRY/skopeo/large:v1" "docker://$REGISTRY/skopeo/deep/er/copy:v2"
  check_remote skopeo/deep/er/copy v2 "$(image_digest large)"
}

skopeo_schema2() {
  local type manifest=$WORK/manifest
  skopeo_push_schema2 small skopeo/schema2 v1
  type=$(curl -fsS -o "$manifest" -w '%{content_type}' -H "Accept: $SCHEMA2" \
    "http://$REGISTRY/v2/skopeo/schema2/manifests/v1")
  expect "$SCHEMA2" "$type" "content type"
  check_remote skopeo/schema2 v1 "$(sha256_of "$manifest")"
}

skopeo_list() {
  local tag
  for tag in b a c-3 2; do skopeo_push small skopeo/tags "$tag"; done
  expect "2 a b c-3" "$(skopeo list-tags --tls-verify=false "docker://$REGISTRY/skopeo/tags" |
    jq -r '.Tags | join(" ")')" tags
}

skopeo_delete() {
  local digest
  digest=$(image_digest multi)
  skopeo_push multi skopeo/deleted v1
  skopeo_push small skopeo/deleted kept
  skopeo delete --tls-verify=false "docker://$REGISTRY/skopeo/deleted:v1"
  expect_status 404 "http://$REGISTRY/v2/skopeo/deleted/manifests/v1"
  expect_status 404 "http://$REGISTRY/v2/skopeo/deleted/manifests/$digest"
  expect kept "$(tags_of skopeo/deleted)" tags
  check_remote skopeo/deleted kept "$(image_digest small)"
}

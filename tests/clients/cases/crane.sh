# shellcheck shell=bash
# crane: POST (with mount), one streamed PATCH, PUT. Plain HTTP is its default on loopback.

install_crane() { need_go_program crane github.com/google/go-containerregistry/cmd/crane@v0.22.1; }

cases_crane() {
  run_case "crane: push and pull" crane_round_trip small
  run_case "crane: push and pull layers of 5, 20 and 64 MiB" crane_round_trip large
  run_case "crane: multi-platform index" crane_round_trip multi
  run_case "crane: append a layer to nothing" crane_append
  run_case "crane: copy between repositories mounts" crane_copy
  run_case "crane: tag, digest and list" crane_tag
  run_case "crane: catalog" crane_catalog
  run_case "crane: delete" crane_delete
}

crane_round_trip() { # IMAGE
  local digest reference=$REGISTRY/crane/$1:v1
  digest=$(image_digest "$1")
  crane push "$IMAGES/$1" "$reference"
  check_remote crane/"$1" v1 "$digest"
  crane pull --format=oci "$reference" "$WORK/crane-$1"
  check_layout "$WORK/crane-$1" "$digest"
  rm -rf "$WORK/crane-$1"
}

crane_append() {
  head -c 2000000 /dev/urandom >"$WORK/payload-crane"
  tar -C "$WORK" -czf "$WORK/layer.tgz" payload-crane
  crane append --oci-empty-base -f "$WORK/layer.tgz" -t "$REGISTRY/crane/appended:v1"
  crane validate --remote "$REGISTRY/crane/appended:v1"
  crane export "$REGISTRY/crane/appended:v1" - | tar -xO payload-crane | cmp "$WORK/payload-crane" -
}

crane_copy() {
  crane copy "$REGISTRY/crane/large:v1" "$REGISTRY/crane/copy:v1" 2>&1 | tee "$WORK/copy.log"
  expect 4 "$(grep -c 'mounted blob' "$WORK/copy.log")" "blobs mounted (3 layers, 1 config)"
  check_remote crane/copy v1 "$(image_digest large)"
}

crane_tag() {
  local digest
  digest=$(image_digest multi)
  crane tag "$REGISTRY/crane/multi:v1" second
  expect "$digest" "$(crane digest "$REGISTRY/crane/multi:second")" digest
  expect "second v1" "$(crane ls "$REGISTRY/crane/multi" | sort | paste -sd' ')" tags
  crane tag "$REGISTRY/crane/multi:v1" v1
}

crane_catalog() {
  local repository
  crane catalog "$REGISTRY" >"$WORK/catalog"
  for repository in crane/small crane/large crane/multi crane/copy; do
    grep -qx "$repository" "$WORK/catalog"
  done
  expect "$(curl -fsS "http://$REGISTRY/v2/_catalog?n=1" | jq -r '.repositories[]')" \
    "$(head -n 1 "$WORK/catalog")" "first page of one"
}

crane_delete() {
  local digest
  digest=$(image_digest small)
  crane copy "$REGISTRY/crane/small:v1" "$REGISTRY/crane/deleted:v1"
  crane delete "$REGISTRY/crane/deleted@$digest"
  expect_status 404 "http://$REGISTRY/v2/crane/deleted/manifests/$digest"
  expect_status 404 "http://$REGISTRY/v2/crane/deleted/manifests/v1"
  expect "" "$(tags_of crane/deleted)" tags
  check_remote crane/small v1 "$digest"
}

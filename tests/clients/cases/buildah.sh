# shellcheck shell=bash
# buildah: builds an image from nothing, pushes it in both formats, pulls it into an empty store.

install_buildah() { need_debian buildah=buildah; }

cases_buildah() {
  export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
  mkdir -p "$HOME/.config/containers"
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$HOME/.config/containers/policy.json"
  head -c 3000000 /dev/urandom >"$WORK/payload"
  run_case "buildah: commit, push and pull" buildah_round_trip oci
  run_case "buildah: the same as Docker schema 2" buildah_round_trip v2s2
  run_case "buildah: manifest list" buildah_manifest_list
}

in_store() { # NAME COMMAND...: buildah with a store of that name, below the working folder
  buildah --root "$WORK/store-$1" --runroot "$WORK/store-$1-run" "${@:2}"
}

buildah_round_trip() { # FORMAT
  local container image=$REGISTRY/buildah/$1:v1 mounted
  container=$(in_store made from scratch)
  in_store made copy "$container" "$WORK/payload" /payload
  in_store made config --entrypoint '["/payload"]' --label made-by=test "$container"
  in_store made commit -q "$container" "$image"
  in_store made push -q --tls-verify=false --format "$1" "$image" "docker://$image"

  container=$(in_store "pulled-$1" from --tls-verify=false "$image")
  mounted=$(in_store "pulled-$1" mount "$container")
  cmp "$WORK/payload" "$mounted/payload"
  in_store "pulled-$1" umount "$container"
  expect test "$(in_store "pulled-$1" inspect --type image "$image" |
    jq -r '.OCIv1.config.Labels["made-by"]')" label
}

buildah_manifest_list() {
  local format list=$REGISTRY/buildah/list:v1
  in_store made manifest create "$list"
  for format in oci v2s2; do
    in_store made manifest add --tls-verify=false "$list" "docker://$REGISTRY/buildah/$format:v1"
  done
  in_store made manifest push -q --all --tls-verify=false "$list" "docker://$list"
  curl -fsS -H 'Accept: application/vnd.oci.image.index.v1+json' \
    -H 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' \
    "http://$REGISTRY/v2/buildah/list/manifests/v1" >"$WORK/manifest"
  expect 2 "$(jq '.manifests | length' "$WORK/manifest")" "manifests in the list"
  check_remote buildah/list v1 "$(sha256_of "$WORK/manifest")"
}

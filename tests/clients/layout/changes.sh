# shellcheck shell=bash
# Changes made to a filled folder by one registry, which the next one must see.

change() { # a new tag, a moved tag, a deleted manifest
  skopeo_push multi app/one new
  skopeo_push multi app/moves tag
  delete_manifest app/shrinks "$(image_digest multi)"
}

delete_manifest() { # REPOSITORY REFERENCE
  expect_status 202 -X DELETE "http://$REGISTRY/v2/$1/manifests/$2"
}

check_changed() {
  local subject
  skopeo_pull app/one :new "$(image_digest multi)"
  skopeo_pull app/moves :tag "$(image_digest multi)"
  skopeo_pull app/shrinks :stays "$(image_digest small)"
  expect "multi new v1" "$(sorted_tags_of app/one)" tags
  expect stays "$(sorted_tags_of app/shrinks)" tags
  subject=$(image_digest small)
  skopeo_pull app/moves "@$subject" "$subject"
  expect_status 404 "http://$REGISTRY/v2/app/shrinks/manifests/$(image_digest multi)"
  expect_status 404 "http://$REGISTRY/v2/app/shrinks/manifests/goes"
}

undo_change() { # by the one that did not make it
  delete_manifest app/one "$(image_digest multi)"
  skopeo_push small app/moves tag
  skopeo_push multi app/shrinks goes
}

check_undone() {
  expect v1 "$(sorted_tags_of app/one)" tags
  expect "goes stays" "$(sorted_tags_of app/shrinks)" tags
  skopeo_pull app/moves :tag "$(image_digest small)"
  skopeo_pull app/shrinks :goes "$(image_digest multi)"
}

check_after_collection() {
  check_changed
  check_filled
  check_sha512_image
}

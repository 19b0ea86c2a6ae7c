# shellcheck shell=bash
# What is put into a folder by whoever serves it, and how the next one is asked about it.

fill() {
  skopeo_push small app/one v1
  skopeo_push multi app/one multi
  skopeo_push large app/large v1
  skopeo_push_schema2 small app/schema2 v1
  skopeo_push small app/moves tag
  skopeo_push small app/shrinks stays
  skopeo_push multi app/shrinks goes
}

fill_artifacts() { # one repository whose manifest names a subject, one with the fallback tag as well
  skopeo_push small signed v1
  skopeo_push signature signed signature
  skopeo_push small scanned v1
  # not with skopeo, which drops the artifactType of an index's entries
  python3 "$HERE/oci_layout.py" push "$IMAGES/fallback" "http://$REGISTRY" scanned \
    "$(image_digest small | tr : -)"
}

check_filled() {
  skopeo_pull app/one :v1 "$(image_digest small)"
  skopeo_pull app/one :multi "$(image_digest multi)"
  skopeo_pull app/one "@$(image_digest multi)" "$(image_digest multi)"
  skopeo_pull app/large :v1 "$(image_digest large)"
  skopeo_pull signed :signature "$(image_digest signature)"
  check_schema2
}

check_schema2() {
  curl -fsS -o "$WORK/manifest" -H "Accept: $SCHEMA2" "http://$REGISTRY/v2/app/schema2/manifests/v1"
  expect "$SCHEMA2" "$(jq -r .mediaType "$WORK/manifest")" "media type"
  check_remote app/schema2 v1 "$(sha256_of "$WORK/manifest")"
}

check_lists() {
  expect "app/large app/moves app/one app/schema2 app/shrinks scanned signed" "$(catalog)" catalog
  expect "multi v1" "$(sorted_tags_of app/one)" tags
  expect "goes stays" "$(sorted_tags_of app/shrinks)" tags
}

catalog() { # repositories with a tag; the one with only a blob may be listed or not
  curl -fsS "http://$REGISTRY/v2/_catalog?n=100" |
    jq -r '.repositories | map(select(. != "raw" and . != "half")) | sort | join(" ")'
}

sorted_tags_of() { tags_of "$1" | tr ' ' '\n' | sort | paste -sd' '; }

check_referrers() { # REPOSITORY IMAGE: its digest, alone, is listed for the small image
  local subject
  subject=$(image_digest small)
  expect "$2" "$(curl -fsS "http://$REGISTRY/v2/$1/referrers/$subject" |
    jq -r '.manifests | map(.digest) | join(" ")')" referrers
}

fallback_entry() { jq -r '.manifests[0].digest' "$IMAGES/fallback/blobs/${1/:/\/}"; }

location_of() { # CURL_ARGUMENT...: the Location of the answer, absolute
  local location
  location=$(curl -fsS -D - -o /dev/null "$@" | tr -d '\r' | sed -n 's/^location: //Ip')
  [[ $location ]] || return 1
  [[ $location == http* ]] || location=http://$REGISTRY$location
  echo "$location"
}

with_digest() { if [[ $1 == *\?* ]]; then echo "$1&digest=$2"; else echo "$1?digest=$2"; fi; }

put_blob() { # REPOSITORY FILE DIGEST
  local location
  location=$(location_of -X POST "http://$REGISTRY/v2/$1/blobs/uploads/")
  curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" \
    "$(with_digest "$location" "$3")"
}

put_sha512_image() { # by longshore only: distribution takes manifests by sha256
  jq -cn --arg digest "$SHA512" '{schemaVersion: 2, layers: [],
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config: {mediaType: "application/octet-stream", digest: $digest, size: 1000000}}' >"$WORK/sha512.json"
  expect_status 201 -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
    --data-binary "@$WORK/sha512.json" "$(sha512_image)?tag=sha512"
}

sha512_image() { echo "http://$REGISTRY/v2/raw/manifests/sha512:$(sha512sum <"$WORK/sha512.json" | cut -d' ' -f1)"; }

check_sha512_image() {
  curl -fsS "$(sha512_image)" -H 'Accept: application/vnd.oci.image.manifest.v1+json' | cmp "$WORK/sha512.json" -
  check_blob raw "$WORK/blob" "$SHA512"
}

check_blob() { # REPOSITORY FILE DIGEST
  curl -fsS "http://$REGISTRY/v2/$1/blobs/$3" | cmp "$2" -
}

begin_upload() { # leaves half of the blob in an open upload, its id in $WORK/upload
  local location
  location=$(location_of -X POST "http://$REGISTRY/v2/half/blobs/uploads/")
  location=$(head -c 500000 "$WORK/blob" | location_of -X PATCH --data-binary @- \
    -H 'Content-Type: application/octet-stream' "$location")
  basename "${location%%\?*}" >"$WORK/upload"
}

finish_upload() { # that upload, in the hands of longshore
  local url location digest
  url=http://$REGISTRY/v2/half/blobs/uploads/$(cat "$WORK/upload")
  digest=$(sha256_of "$WORK/blob")
  expect "range: 0-499999" "$(curl -fsS -D - "$url" | tr -d '\r' | grep -i '^range:' |
    tr '[:upper:]' '[:lower:]')" "what the upload holds"
  location=$(location_of "$url")
  tail -c +500001 "$WORK/blob" | curl -fsS -X PUT --data-binary @- \
    -H 'Content-Type: application/octet-stream' "$(with_digest "$location" "$digest")"
  check_blob half "$WORK/blob" "$digest"
}

# shellcheck shell=bash
# What is done: a row of the table each. `row` is in peers.sh.

full_rows() {
  local gib=$PEERS_GIB
  work 1GiB "$gib" 256MiB $((gib * 4)) 32MiB $((gib * 32)) 128MiB $((gib * 8)) \
    "duration: 15s, warm_up: 2s, turn: 5s"
}

quick_rows() {
  work 64MiB 2 16MiB 8 2MiB 64 8MiB 8 "duration: 500ms, turn: 500ms"
}

# HUGE COUNT LARGE COUNT MIDDLE COUNT CHUNKED COUNT TIMED: sizes of blobs, how many of each, and the
# shape of what is counted by time
work() {
  local huge=$1 large=$3 middle=$5 chunked=$7 timed=$9
  row streamed-1 "streamed, $huge, 1 at once" yes "count: $2" 1 "$huge" 0 push-streamed
  row streamed-8 "streamed, $large, 8 at once" yes "count: $4" 8 "$large" 0 push-streamed
  row streamed-64 "streamed, $middle, 64 at once" yes "count: $6" 64 "$middle" 0 push-streamed
  row chunked-8 "chunks of 1 MiB, $chunked, 8 at once" yes "count: $8" 8 "$chunked" 0 \
    "{kind: push-chunked, chunk_sizes: 1MiB}"
  row small-64 "blobs of 4 KiB, POST and PUT, 64 at once" yes "$timed" 64 4KiB 0 push-monolithic
  row images-16 "images of 10 layers of 100 KiB, 16 at once" no "$timed" 16 100KiB 0 \
    "{kind: image-push, layers: 10, layer_sizes: 100KiB}"
  row head-64 "HEAD of blobs, warm, 64 at once" yes "$timed" 64 4KiB 16 head-many
  row manifests-64 "manifests by tag, warm, 64 at once" no "$timed" 64 4KiB 16 manifest-by-tag
  row pull-1 "GET of $huge, 1 at once" yes "count: $((2 * $2))" 1 "$huge" 1 pull-whole
}

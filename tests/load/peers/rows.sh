# shellcheck shell=bash
# What is done: a row of the table each. `row` is in peers.sh, and says there what its words mean.

# shellcheck disable=SC2034 # peers.sh uses them
full_rows() {
  TURN=2s WARM_UP=1s
  work 1GiB 1 256MiB 8 32MiB 64 128MiB 8 64MiB 16 2MiB
}

# shellcheck disable=SC2034
quick_rows() {
  # Without a warm-up each worker begins a task that counts, however slow the machine is.
  TURN=300ms WARM_UP=0s
  work 64MiB 1 8MiB 8 1MiB 64 8MiB 8 1MiB 4 32KiB
}

# HUGE COUNT LARGE COUNT MIDDLE COUNT CHUNKED COUNT PULLED COUNT CROWDED: sizes of blobs, and how many of each; of the last
# a thousand
work() {
  local huge=$1 large=$3 middle=$5 chunked=$7 pulled=$9 pulled_count=${10} crowded=${11}
  row streamed-1 "streamed, $huge, 1 at once" bytes alone yes "$2" 1 "$huge" 0 push-streamed
  row streamed-8 "streamed, $large, 8 at once" bytes alone yes "$4" 8 "$large" 0 push-streamed
  row streamed-64 "streamed, $middle, 64 at once" bytes alone yes "$6" 64 "$middle" 0 push-streamed
  row chunked-8 "chunks of 1 MiB, $chunked, 8 at once" bytes alone yes "$8" 8 "$chunked" 0 \
    "{kind: push-chunked, chunk_sizes: 1MiB}"
  row crowd-64 "streamed, $crowded, 64 at once" bytes alone yes 1000 64 "$crowded" 0 push-streamed
  row crowd-1000 "streamed, $crowded, 1,000 at once" bytes alone yes 1000 1000 "$crowded" 0 push-streamed
  row small-64 "blobs of 4 KiB, POST and PUT, 64 at once" pushes turns yes - 64 4KiB 0 push-monolithic
  row images-16 "images of 10 layers of 100 KiB, 16 at once" images turns no - 16 100KiB 0 \
    "{kind: image-push, layers: 10, layer_sizes: 100KiB}"
  row head-64 "HEAD of blobs, warm, 64 at once" requests turns yes - 64 4KiB 16 head-many
  row manifests-64 "manifests by tag, warm, 64 at once" requests turns no - 64 4KiB 16 manifest-by-tag
  row pull-1 "GET of $huge, 1 at once" "bytes out" turns yes - 1 "$huge" 1 pull-whole
  row pull-64 "GET of $pulled, 64 at once" "bytes out" turns yes - 64 "$pulled" "$pulled_count" pull-whole
}

use futures_util::TryStreamExt;

use super::*;
use crate::content::ContentOptions;
use crate::content::testing::{Fixture, digest_of, repository};
use crate::oci::Algorithm;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::Operation;

async fn read_all(reader: ObjectReader) -> Vec<u8> {
    let pieces: Vec<_> = reader.stream.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn a_warm_blob_costs_no_call_and_a_cold_one_two() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    fixture.probe.take_calls();
    assert_eq!(fixture.content.blobs().stat(&name, &digest).await.unwrap(), Some(5));
    assert_eq!(fixture.probe.take_calls(), [""; 0], "a commit fills the cache");

    let restarted = fixture.restarted();
    for expected_calls in [2, 0] {
        assert_eq!(restarted.content.blobs().stat(&name, &digest).await.unwrap(), Some(5));
        assert_eq!(restarted.probe.take_calls().len(), expected_calls);
    }
}

#[tokio::test]
async fn reading_costs_one_call_warm_and_two_cold_and_fills_the_cache() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    let restarted = fixture.restarted();
    let blobs = restarted.content.blobs();
    for expected_calls in [2, 1] {
        let reader = blobs.open(&name, &digest, Some(1..3)).await.unwrap().unwrap();
        assert_eq!((reader.stat.size_bytes, reader.range.clone()), (5, 1..3));
        assert_eq!(read_all(reader).await, b"ay");
        assert_eq!(restarted.probe.take_calls().len(), expected_calls);
    }
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), Some(5));
    assert_eq!(restarted.probe.take_calls(), [""; 0]);
}

#[tokio::test]
async fn only_a_repositorys_own_link_gives_access() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let digest = fixture.push_blob(&name, b"layer").await;
    let blobs = fixture.content.blobs();
    assert_eq!(blobs.stat_global(&digest).await.unwrap(), Some(5));
    assert_eq!(blobs.stat(&other, &digest).await.unwrap(), None);
    assert!(blobs.open(&other, &digest, None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_delete_takes_this_repositorys_link_only() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let digest = fixture.push_blob(&name, b"layer").await;
    fixture.push_blob(&other, b"layer").await;
    let blobs = fixture.content.blobs();
    assert!(blobs.delete(&name, &digest).await.unwrap());
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
    assert!(!blobs.delete(&name, &digest).await.unwrap());
    assert_eq!(blobs.stat(&other, &digest).await.unwrap(), Some(5));
    fixture.push_blob(&name, b"layer").await;
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), Some(5));
}

#[tokio::test]
async fn a_link_that_is_broken_counts_as_absent_until_a_push_repairs_it() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = digest_of(b"layer");
    let blobs = fixture.content.blobs();
    for broken in [Vec::new(), b"nonsense".to_vec(), vec![b'x'; 5000], digest_of(b"not there").to_string().into()] {
        fixture.probe.write(&keys::blob_data(&digest), &b"layer"[..]).await;
        fixture.probe.write(&keys::layer_link(&name, &digest), broken.clone()).await;
        assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
        assert!(blobs.open(&name, &digest, None).await.unwrap().is_none());
        fixture.push_blob(&name, b"layer").await;
        assert_eq!(blobs.stat(&name, &digest).await.unwrap(), Some(5));
        fixture.probe.write(&keys::layer_link(&name, &digest), broken).await;
        let restarted = fixture.restarted().content.blobs();
        assert!(!restarted.delete(&name, &digest).await.unwrap());
        assert!(!fixture.probe.has(&keys::layer_link(&name, &digest)).await, "a broken link can be removed");
        blobs.delete(&name, &digest).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_that_vanish_are_noticed_by_a_read() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    fixture.probe.remove(&keys::blob_data(&digest)).await;
    let blobs = fixture.content.blobs();
    assert!(blobs.open(&name, &digest, None).await.unwrap().is_none());
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
    assert_eq!(blobs.stat_global(&digest).await.unwrap(), None);
}

#[tokio::test]
async fn a_blob_that_distribution_keeps_under_another_digest_is_found() {
    let fixture = Fixture::new();
    let (name, other) = (repository("a"), repository("b"));
    let kept_under = digest_of(b"layer");
    let asked_for = crate::content::manifests::testing::digest_of_bytes(Algorithm::Sha512, b"layer");
    fixture.probe.write(&keys::blob_data(&kept_under), &b"layer"[..]).await;
    fixture.probe.write(&keys::layer_link(&name, &asked_for), kept_under.to_string()).await;
    let blobs = fixture.content.blobs();
    for _ in ["cold", "warm"] {
        assert_eq!(blobs.stat(&name, &asked_for).await.unwrap(), Some(5));
        let reader = blobs.open(&name, &asked_for, None).await.unwrap().unwrap();
        assert_eq!(read_all(reader).await, b"layer");
    }
    assert_eq!(blobs.mount(&other, &asked_for, &name).await.unwrap(), Some(5));
    assert_eq!(fixture.restarted().content.blobs().stat(&other, &asked_for).await.unwrap(), Some(5));
}

#[tokio::test]
async fn a_mount_needs_access_at_its_source() {
    let fixture = Fixture::new();
    let (from, to) = (repository("from"), repository("to"));
    let digest = fixture.push_blob(&from, b"layer").await;
    let blobs = fixture.content.blobs();
    assert_eq!(blobs.mount(&to, &digest, &repository("elsewhere")).await.unwrap(), None);
    assert_eq!(blobs.stat(&to, &digest).await.unwrap(), None);
    assert_eq!(blobs.mount(&to, &digest, &from).await.unwrap(), Some(5));
    assert_eq!(blobs.stat(&to, &digest).await.unwrap(), Some(5));
    assert!(fixture.probe.has(&keys::layer_link(&to, &digest)).await);
}

#[tokio::test]
async fn a_mount_without_a_source_needs_the_bytes() {
    let fixture = Fixture::new();
    let to = repository("to");
    let digest = fixture.push_blob(&repository("from"), b"layer").await;
    let blobs = fixture.restarted().content.blobs();
    assert_eq!(blobs.mount_known(&to, &digest_of(b"nowhere")).await.unwrap(), None);
    assert_eq!(blobs.mount_known(&to, &digest).await.unwrap(), Some(5));
    assert_eq!(blobs.stat(&to, &digest).await.unwrap(), Some(5));
}

#[tokio::test]
async fn a_fault_is_never_an_absence() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    let (link, data) = (keys::layer_link(&name, &digest), keys::blob_data(&digest));
    for kind in [StorageErrorKind::Fault, StorageErrorKind::TimedOut] {
        let blobs = fixture.restarted().content.blobs();
        fixture.probe.fail(Operation::Get, &link, kind);
        assert_eq!(blobs.stat(&name, &digest).await.unwrap_err().kind(), kind);
        fixture.probe.fail(Operation::Stat, &data, kind);
        assert_eq!(blobs.stat(&name, &digest).await.unwrap_err().kind(), kind);
        fixture.probe.fail(Operation::Read, &data, kind);
        assert_eq!(blobs.open(&name, &digest, None).await.unwrap_err().kind(), kind);
        fixture.probe.fail(Operation::Stat, &data, kind);
        assert_eq!(blobs.mount_known(&name, &digest).await.unwrap_err().kind(), kind);
        assert_eq!(blobs.stat(&name, &digest).await.unwrap(), Some(5));
    }
}

#[tokio::test]
async fn a_load_that_began_before_a_delete_does_not_bring_the_blob_back() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    let restarted = fixture.restarted();
    let blobs = restarted.content.blobs();
    let stopped = restarted.probe.stop(Operation::Stat, &keys::blob_data(&digest));
    let load = tokio::spawn({
        let (blobs, name, digest) = (blobs.clone(), name.clone(), digest.clone());
        async move { blobs.stat(&name, &digest).await }
    });
    stopped.reached(1).await;
    assert!(blobs.delete(&name, &digest).await.unwrap());
    stopped.release();
    assert_eq!(load.await.unwrap().unwrap(), Some(5), "it began before the delete");
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
    assert!(blobs.open(&name, &digest, None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_link_that_was_deleted_while_it_was_written_is_not_remembered() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    let blobs = fixture.content.blobs();
    let stopped = fixture.probe.stop(Operation::Put, &keys::layer_link(&name, &digest));
    let push = tokio::spawn({
        let (blobs, name, digest) = (blobs.clone(), name.clone(), digest.clone());
        async move { blobs.link(&name, &digest, 5).await }
    });
    stopped.reached(1).await;
    assert!(blobs.delete(&name, &digest).await.unwrap());
    stopped.release();
    push.await.unwrap().unwrap();
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
}

#[tokio::test]
async fn a_delete_that_failed_and_may_still_happen_leaves_nothing_cached() {
    let fixture = Fixture::new();
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    let link = keys::layer_link(&name, &digest);
    let blobs = fixture.content.blobs();
    fixture.probe.fail(Operation::Delete, &link, StorageErrorKind::TimedOut);
    assert_eq!(blobs.delete(&name, &digest).await.unwrap_err().kind(), StorageErrorKind::TimedOut);
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), Some(5));
    fixture.probe.remove(&link).await;
    assert_eq!(blobs.stat(&name, &digest).await.unwrap(), None);
}

#[tokio::test]
async fn without_a_cache_everything_is_looked_up() {
    let fixture = Fixture::with(ContentOptions { cache_max_entries: 0, ..ContentOptions::default() });
    let name = repository("a");
    let digest = fixture.push_blob(&name, b"layer").await;
    fixture.probe.take_calls();
    for _ in 0..2 {
        assert_eq!(fixture.content.blobs().stat(&name, &digest).await.unwrap(), Some(5));
        assert_eq!(fixture.probe.take_calls().len(), 2);
    }
}

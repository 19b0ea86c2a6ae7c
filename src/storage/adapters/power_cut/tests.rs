use std::collections::BTreeSet;

use super::*;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::testing::key;
use crate::storage::suite::{self, Subject};

/// Enough that what one cut in a hundred does is seen.
const SEEDS: std::ops::Range<u64> = 0..2_000;

fn store() -> PowerCut {
    PowerCut::new(MemoryOptions { max_bytes: 64 << 20 })
}

async fn put(store: &PowerCut, name: &str, data: &'static [u8], durability: Durability) {
    store.put(&key(name), Bytes::from_static(data), PutMode::Overwrite, durability).await.unwrap();
}

/// The object, or the partial, under a name.
async fn found(store: &PowerCut, name: &str) -> Option<Vec<u8>> {
    let start = Checkpoint { offset: 0, token: String::new() };
    match store.get(&key(name), u64::MAX).await {
        Ok(object) => return Some(object.data.to_vec()),
        Err(error) => assert_eq!(error.kind(), StorageErrorKind::NotFound),
    }
    let mut partial = store.open_partial(&key(name), &start).await.ok()?;
    let stream = partial.read(0..partial.offset()).await.unwrap();
    Some(futures_util::TryStreamExt::try_collect::<Vec<Bytes>>(stream).await.unwrap().concat())
}

/// Everything that is found under a name after one cut or another.
async fn outcomes(store: &PowerCut, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let mut outcomes = BTreeSet::new();
    for seed in SEEDS {
        outcomes.insert(found(&store.cut(seed), name).await);
    }
    outcomes
}

fn set<const N: usize>(outcomes: [Option<&[u8]>; N]) -> BTreeSet<Option<Vec<u8>>> {
    outcomes.into_iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes() {
    suite::run(|| {
        let store = store();
        let counted = store.clone();
        Subject::with_leftovers(Arc::new(store), move || {
            let used_bytes = counted.used_bytes();
            (used_bytes > 0).then(|| format!("{used_bytes} bytes")).into_iter().collect()
        })
    })
    .await;
}

#[tokio::test]
async fn what_was_synced_survives_every_cut_and_the_cuts_after_it() {
    let store = store();
    put(&store, "object", b"whole", Durability::Power).await;
    let mut writer = store.create_partial(&key("partial")).await.unwrap();
    writer.append(vec![Bytes::from_static(b"kept")]).await.unwrap();
    writer.checkpoint(Durability::Power).await.unwrap();
    let published = store.create_partial(&key("upload")).await.unwrap();
    published.publish(&key("blob"), Durability::Power).await.unwrap();
    for seed in SEEDS {
        let after = store.cut(seed).cut(seed + 1);
        assert_eq!(found(&after, "object").await.as_deref(), Some(&b"whole"[..]), "seed {seed}");
        assert_eq!(found(&after, "partial").await.as_deref(), Some(&b"kept"[..]), "seed {seed}");
        assert_eq!(found(&after, "blob").await.as_deref(), Some(&b""[..]), "seed {seed}");
    }
}

#[tokio::test]
async fn an_object_that_was_not_synced_is_there_absent_empty_or_zeros() {
    let store = store();
    put(&store, "object", b"ab", Durability::Process).await;
    let expected =
        set([None, Some(b""), Some(b"a"), Some(b"ab"), Some(b"\0"), Some(b"\0\0"), Some(b"a\0"), Some(b"\0b")]);
    assert_eq!(outcomes(&store, "object").await, expected);
}

#[tokio::test]
async fn over_a_synced_object_it_is_never_absent() {
    let store = store();
    put(&store, "object", b"old", Durability::Power).await;
    put(&store, "object", b"n", Durability::Process).await;
    assert_eq!(outcomes(&store, "object").await, set([Some(b"old"), Some(b"n"), Some(b""), Some(b"\0")]));
    put(&store, "object", b"new", Durability::Power).await;
    assert_eq!(outcomes(&store, "object").await, set([Some(b"new")]));
}

#[tokio::test]
async fn a_delete_may_be_undone_until_the_disk_has_settled() {
    let store = store();
    put(&store, "folder/a", b"1", Durability::Power).await;
    put(&store, "folder/b", b"2", Durability::Power).await;
    store.delete(&key("folder/a")).await.unwrap();
    assert_eq!(outcomes(&store, "folder/a").await, set([None, Some(b"1")]));
    assert_eq!(outcomes(&store, "folder/b").await, set([Some(b"2")]));
    store.delete_all(&key("folder"), None).await.unwrap();
    let mut seen = BTreeSet::new();
    for seed in SEEDS {
        let after = store.cut(seed);
        seen.insert((found(&after, "folder/a").await.is_some(), found(&after, "folder/b").await.is_some()));
    }
    assert_eq!(seen.len(), 4, "each is undone by itself: {seen:?}");
    store.settle();
    assert_eq!(store.cut(0).used_bytes(), 0);
    assert!(store.lock().survivors(0).is_empty());
}

#[tokio::test]
async fn bytes_past_the_synced_checkpoint_are_there_cut_short_or_zeros() {
    let store = store();
    let mut writer = store.create_partial(&key("data")).await.unwrap();
    writer.append(vec![Bytes::from_static(b"kept")]).await.unwrap();
    writer.checkpoint(Durability::Power).await.unwrap();
    writer.append(vec![Bytes::from_static(b"x"), Bytes::from_static(b"y")]).await.unwrap();
    writer.checkpoint(Durability::Process).await.unwrap();
    let tails = [&b""[..], b"x", b"xy", b"\0", b"\0\0", b"x\0", b"\0y"];
    let expected = tails.map(|tail| Some([b"kept", tail].concat()));
    assert_eq!(outcomes(&store, "data").await, expected.into_iter().collect());
}

#[tokio::test]
async fn bytes_that_were_cut_off_may_come_back() {
    let store = store();
    let mut writer = store.create_partial(&key("data")).await.unwrap();
    writer.append(vec![Bytes::from_static(b"abc")]).await.unwrap();
    writer.checkpoint(Durability::Power).await.unwrap();
    writer.rewind(1).await.unwrap();
    writer.append(vec![Bytes::from_static(b"z")]).await.unwrap();
    let outcomes_now = outcomes(&store, "data").await;
    for expected in [&b"a"[..], b"az", b"ab", b"abc", b"azc"] {
        assert!(outcomes_now.contains(&Some(expected.to_vec())), "{expected:?}");
    }
    assert!(outcomes_now.iter().flatten().all(|bytes| bytes.starts_with(b"a") && bytes.len() <= 3));
    writer.checkpoint(Durability::Power).await.unwrap();
    assert_eq!(outcomes(&store, "data").await, set([Some(b"az")]));
}

#[tokio::test]
async fn a_synced_publication_may_leave_its_partial() {
    let store = store();
    let mut writer = store.create_partial(&key("data")).await.unwrap();
    writer.append(vec![Bytes::from_static(b"a")]).await.unwrap();
    writer.checkpoint(Durability::Power).await.unwrap();
    writer.append(vec![Bytes::from_static(b"b")]).await.unwrap();
    writer.publish(&key("blob"), Durability::Power).await.unwrap();
    assert_eq!(outcomes(&store, "blob").await, set([Some(b"ab")]));
    assert_eq!(outcomes(&store, "data").await, set([None, Some(b"ab")]));
}

#[tokio::test]
async fn a_publication_that_was_not_synced_may_be_undone_or_hold_zeros() {
    let store = store();
    let mut writer = store.create_partial(&key("data")).await.unwrap();
    writer.append(vec![Bytes::from_static(b"a")]).await.unwrap();
    writer.publish(&key("blob"), Durability::Process).await.unwrap();
    assert_eq!(outcomes(&store, "blob").await, set([None, Some(b""), Some(b"\0"), Some(b"a")]));
}

#[tokio::test]
async fn one_seed_gives_one_store() {
    let store = store();
    for name in ["a", "b", "c", "d"] {
        put(&store, name, b"some bytes", Durability::Process).await;
    }
    for seed in 0..100 {
        for name in ["a", "b", "c", "d"] {
            assert_eq!(found(&store.cut(seed), name).await, found(&store.cut(seed), name).await, "seed {seed}");
        }
    }
}

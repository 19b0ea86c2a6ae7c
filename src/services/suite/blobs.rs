use std::ops::Range;

use bytes::Bytes;

use super::support::{Bench, assert_blob, digest_by, digest_of, fetch, pattern, push};
use super::{Case, assert_fails, case};
use crate::oci::Algorithm;
use crate::services::RegistryError;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("a blob is looked up and fetched byte for byte", looked_up_and_fetched),
        case!("a range of a blob is cut at the end", ranges),
        case!("an unknown blob is told as one", unknown),
        case!("a mount links a blob that a named repository has", mount_from),
        case!("a mount links a blob that any repository has", mount_from_any),
        case!("a mount of an unknown blob does nothing", mount_of_unknown),
        case!("deleting a blob takes one repository's link away", delete),
    ]
}

async fn looked_up_and_fetched(bench: Bench) {
    let repository = bench.repository("a");
    assert_eq!(*repository.name(), bench.name("a"));
    for (seed, size) in [(1, 1), (2, 10_000), (3, 5_000_000)] {
        let data = pattern(seed, size);
        let digest = push(&*repository, &data).await;
        assert_blob(&*repository, &digest, &data).await;
        assert_blob(&*bench.repository_elsewhere("a"), &digest, &data).await;
    }
}

async fn ranges(bench: Bench) {
    let repository = bench.repository("a");
    for data in [pattern(1, 1000), Bytes::new()] {
        let digest = push(&*repository, &data).await;
        let size = data.len() as u64;
        let asked: [Range<u64>; 9] =
            [0..1, 0..1000, 1..999, 999..1000, 990..2000, 0..u64::MAX, 7..7, 1000..1001, 5000..6000];
        for asked in asked {
            let given = asked.start.min(size)..asked.end.min(size);
            let (size_bytes, range, fetched) = fetch(&*repository, &digest, Some(asked.clone())).await;
            assert_eq!((size_bytes, &range), (size, &given), "{asked:?} of {size}");
            assert_eq!(fetched, data[given.start as usize..given.end as usize], "{asked:?} of {size}");
        }
    }
}

async fn unknown(bench: Bench) {
    let data = pattern(1, 100);
    push(&*bench.repository("another"), &data).await;
    push(&*bench.repository("held"), &pattern(2, 100)).await;
    let unknown = [digest_of(&data), digest_by(Algorithm::Sha512, &data)];
    for name in ["held", "nowhere"] {
        let repository = bench.repository(name);
        let blobs = repository.blobs();
        for digest in &unknown {
            assert_fails!(blobs.stat(digest).await, RegistryError::BlobUnknown(told) if told == *digest);
            assert_fails!(blobs.fetch(digest, None).await, RegistryError::BlobUnknown(told) if told == *digest);
            assert_fails!(blobs.fetch(digest, Some(1..5)).await, RegistryError::BlobUnknown(told) if told == *digest);
            assert_fails!(blobs.fetch(digest, Some(5..5)).await, RegistryError::BlobUnknown(told) if told == *digest);
            assert_fails!(blobs.delete(digest).await, RegistryError::BlobUnknown(told) if told == *digest);
        }
    }
}

async fn mount_from(bench: Bench) {
    let data = pattern(1, 5000);
    let digest = push(&*bench.repository("from"), &data).await;
    let to = bench.repository("to");
    let from = bench.name("from");
    for _ in 0..2 {
        assert_eq!(to.blobs().mount(&digest, Some(&from)).await.expect("the mount is answered"), Some(5000));
    }
    assert_blob(&*to, &digest, &data).await;
}

async fn mount_from_any(bench: Bench) {
    let data = pattern(1, 5000);
    let digest = push(&*bench.repository("from"), &data).await;
    let to = bench.repository("to");
    assert_eq!(to.blobs().mount(&digest, None).await.expect("the mount is answered"), Some(5000));
    assert_blob(&*to, &digest, &data).await;
}

async fn mount_of_unknown(bench: Bench) {
    let to = bench.repository("to");
    let digest = push(&*bench.repository("from"), &pattern(1, 100)).await;
    // Nobody has pushed it: the name of the repository is nobody else's.
    let pushed_by_nobody = digest_of(bench.folder().as_bytes());
    for (digest, from) in [
        (&pushed_by_nobody, None),
        (&pushed_by_nobody, Some("from")),
        (&digest, Some("nowhere")),
        (&pushed_by_nobody, Some("nowhere")),
    ] {
        let from = from.map(|from| bench.name(from));
        assert_eq!(to.blobs().mount(digest, from.as_ref()).await.expect("the mount is answered"), None, "{from:?}");
        assert_fails!(to.blobs().stat(digest).await, RegistryError::BlobUnknown(_));
    }
    assert_fails!(to.tags().list(&super::support::page(None, None)).await, RegistryError::NameUnknown);
}

async fn delete(bench: Bench) {
    let data = pattern(1, 5000);
    let (one, other) = (bench.repository("one"), bench.repository("other"));
    let digest = push(&*one, &data).await;
    other.blobs().mount(&digest, Some(&bench.name("one"))).await.expect("the mount is answered");
    one.blobs().delete(&digest).await.expect("the blob is deleted");
    assert_fails!(one.blobs().stat(&digest).await, RegistryError::BlobUnknown(_));
    assert_fails!(one.blobs().fetch(&digest, None).await, RegistryError::BlobUnknown(_));
    assert_fails!(bench.repository_elsewhere("one").blobs().stat(&digest).await, RegistryError::BlobUnknown(_));
    assert_fails!(one.blobs().delete(&digest).await, RegistryError::BlobUnknown(told) if told == digest);
    assert_blob(&*other, &digest, &data).await;
    assert_eq!(push(&*one, &data).await, digest);
    assert_blob(&*one, &digest, &data).await;
}

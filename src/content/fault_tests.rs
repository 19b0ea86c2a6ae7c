//! Each read and each write with a fault at each of its driver calls.

use futures_util::future::{BoxFuture, FutureExt};

use super::testing::{Fixture, descriptor, digest_of, image, new_manifest, repository, tag};
use super::{Content, NewManifest, ReferrersQuery};
use crate::oci::{Algorithm, Digest, RepositoryName};
use crate::storage::{StorageErrorKind, keys};

const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

struct Filled {
    fixture: Fixture,
    name: RepositoryName,
    blob: Digest,
    /// Kept under its sha256, as distribution does.
    blob_by_sha512: Digest,
    subject: Digest,
    referrer: Digest,
    referrer_data: String,
}

/// A repository in which one manifest was pushed and another came from distribution; both have the same subject.
async fn filled() -> Filled {
    let fixture = Fixture::new();
    let name = repository("a/b");
    let blob = fixture.push_blob(&name, b"blob").await;
    let blob_by_sha512 = super::manifests::testing::digest_of_bytes(Algorithm::Sha512, b"blob");
    fixture.probe.write(&keys::layer_link(&name, &blob_by_sha512), blob.to_string()).await;
    let subject = digest_of(b"subject");
    let about = |extra: &str| image(&blob, &[], &format!(r#","subject":{}{extra}"#, descriptor(OCI_IMAGE, &subject)));
    let referrer_data = about("");
    let new = NewManifest { tags: vec![tag("v2")], ..new_manifest(&name, "v1", referrer_data.clone()) };
    let referrer = fixture.content.manifests().put(new).await.unwrap().digest;
    let foreign = fixture.write_as_distribution(&name, &about(r#","annotations":{"a":"b"}"#)).await;
    fixture.point_as_distribution(&name, "v3", &foreign).await;
    Filled { fixture, name, blob, blob_by_sha512, subject, referrer, referrer_data }
}

impl Filled {
    fn referrers(&self) -> ReferrersQuery {
        ReferrersQuery {
            repository: self.name.clone(),
            subject: self.subject.clone(),
            artifact_type: None,
            last: None,
            limit: 10,
        }
    }
}

/// What a read found, or that it failed.
type Read = for<'a> fn(&'a Content, &'a Filled) -> BoxFuture<'a, Option<String>>;

macro_rules! read {
    (|$content:ident, $filled:ident| $result:expr) => {
        |$content, $filled| async move { $result.await.ok().map(|found| format!("{found:?}")) }.boxed()
    };
}

const READS: &[(&str, Read)] = &[
    ("stat a blob", read!(|content, f| content.blobs().stat(&f.name, &f.blob))),
    ("stat a blob by sha512", read!(|content, f| content.blobs().stat(&f.name, &f.blob_by_sha512))),
    ("stat bytes", read!(|content, f| content.blobs().stat_global(&f.blob))),
    (
        "open a blob",
        read!(|content, f| {
            let blobs = content.blobs();
            async move { blobs.open(&f.name, &f.blob_by_sha512, None).await.map(|found| found.map(|reader| reader.range)) }
        }),
    ),
    ("get a manifest", read!(|content, f| content.manifests().get(&f.name, &f.referrer))),
    ("look for a manifest", read!(|content, f| content.manifests().exists(&f.name, &f.referrer))),
    (
        "resolve a tag",
        read!(|content, f| {
            let tags = content.tags();
            async move { tags.resolve(&f.name, &tag("v1")).await }
        }),
    ),
    ("list tags", read!(|content, f| content.tags().list(&f.name, None, 10))),
    (
        "list referrers",
        read!(|content, f| {
            let referrers = content.referrers();
            async move { referrers.list(&f.referrers()).await }
        }),
    ),
    ("page of the catalog", read!(|content, _f| content.catalog().page(None, 10))),
    ("end of the catalog", read!(|content, _f| content.catalog().page(Some("a/a"), 10))),
    ("look for a repository", read!(|content, f| content.catalog().contains(&f.name))),
    (
        "mount",
        read!(|content, f| {
            let blobs = content.blobs();
            async move { blobs.mount(&repository("c"), &f.blob_by_sha512, &f.name).await }
        }),
    ),
    (
        "mount without a source",
        read!(|content, f| {
            let blobs = content.blobs();
            async move { blobs.mount_known(&repository("c"), &f.blob).await }
        }),
    ),
];

#[tokio::test]
async fn a_fault_at_any_call_of_any_read_is_never_an_absence() {
    for (what, read) in READS {
        let filled = filled().await;
        let expected = read(&filled.fixture.restarted().content, &filled).await;
        let mut struck = 0;
        for kind in [StorageErrorKind::Fault, StorageErrorKind::TimedOut] {
            for nth in 1.. {
                // Anew each time: a read may write what it found out.
                let filled = self::filled().await;
                let content = filled.fixture.restarted().content;
                filled.fixture.probe.fail_nth(nth, kind, false);
                let found = read(&content, &filled).await;
                if !filled.fixture.probe.clear_faults() {
                    assert_eq!(found, expected, "{what}");
                    break;
                }
                assert_eq!(found, None, "{what} with a fault at call {nth}");
                assert_eq!(read(&content, &filled).await, expected, "{what} after a fault at call {nth}");
                struck += 1;
            }
        }
        assert!(struck >= 2, "{what} makes no call");
    }
}

type Write = for<'a> fn(&'a Content, &'a Filled) -> BoxFuture<'a, bool>;

const WRITES: &[(&str, Write)] = &[
    ("put with several tags", |content, f| {
        async move {
            let tags = vec![tag("v1"), tag("new-2"), tag("new-3")];
            let data = f.referrer_data.replacen('{', "{ ", 1);
            content.manifests().put(NewManifest { tags, ..new_manifest(&f.name, "new-1", data) }).await.is_ok()
        }
        .boxed()
    }),
    ("delete a manifest", |content, f| {
        async move { content.manifests().delete(&f.name, &f.referrer).await.is_ok() }.boxed()
    }),
    ("delete a tag", |content, f| async move { content.tags().delete(&f.name, &tag("v1")).await.is_ok() }.boxed()),
    ("mount", |content, f| {
        async move { content.blobs().mount(&repository("c"), &f.blob_by_sha512, &f.name).await.is_ok() }.boxed()
    }),
    ("delete a blob", |content, f| async move { content.blobs().delete(&f.name, &f.blob).await.is_ok() }.boxed()),
];

#[tokio::test]
async fn a_crash_at_any_call_of_any_write_leaves_nothing_half_and_doing_it_again_ends_the_same() {
    for (what, write) in WRITES {
        for is_after in [false, true] {
            let untouched = prepared().await;
            assert!(write(&untouched.fixture.restarted().content, &untouched).await, "{what}");
            assert_whole(&untouched.fixture.restarted().content, &untouched, what).await;
            let expected = untouched.fixture.probe.all_keys().await;
            for nth in 1.. {
                let filled = prepared().await;
                filled.fixture.probe.fail_nth(nth, StorageErrorKind::Fault, is_after);
                let succeeded = write(&filled.fixture.restarted().content, &filled).await;
                if !filled.fixture.probe.clear_faults() {
                    assert!(succeeded && nth > 1, "{what}");
                    break;
                }
                let content = filled.fixture.restarted().content;
                let case = format!("{what}, fault at call {nth}, after its effect: {is_after}");
                assert_whole(&content, &filled, &case).await;
                assert!(write(&content, &filled).await, "{case}: done again");
                assert_whole(&content, &filled, &case).await;
                assert_eq!(filled.fixture.probe.all_keys().await, expected, "{case}");
            }
        }
    }
}

/// The referrers index knows everything.
async fn prepared() -> Filled {
    let filled = filled().await;
    filled.fixture.content.referrers().list(&filled.referrers()).await.unwrap();
    filled
}

/// Every tag leads to a manifest, and every manifest that is there is listed as a referrer.
async fn assert_whole(content: &Content, filled: &Filled, case: &str) {
    let tags = content.tags().list(&filled.name, None, 100).await.unwrap().map_or(Vec::new(), |page| page.items);
    for tag in tags {
        let digest = content.tags().resolve(&filled.name, &tag).await.unwrap();
        let digest = digest.unwrap_or_else(|| panic!("{case}: {tag} is listed and leads nowhere"));
        assert!(content.manifests().exists(&filled.name, &digest).await.unwrap(), "{case}: {tag} leads to nothing");
    }
    let listed = content.referrers().list(&filled.referrers()).await.unwrap().items;
    let is_listed = listed.iter().any(|item| item["digest"] == filled.referrer.to_string().as_str());
    let is_there = content.manifests().exists(&filled.name, &filled.referrer).await.unwrap();
    assert_eq!(is_listed, is_there, "{case}: listed as a referrer, and there");
}

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::*;
use crate::clock::SystemClock;
use crate::content::ContentOptions;
use crate::hashing::HashPool;
use crate::oci::{Digest, Reference};
use crate::registry::{Precondition, PutManifest, ReferrersRequest};
use crate::storage::adapters::{Fault, Faulty, Gate, Operation};
use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::{Driver as _, Durability, PutMode, StorageErrorKind, keys};
use crate::telemetry::Metrics;
use crate::upload::EngineOptions;

const EMPTY_JSON: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

struct Fixture {
    driver: Faulty,
    content: Content,
    registry: LocalRegistry,
}

fn fixture(options: LocalRegistryOptions) -> Fixture {
    let driver = Faulty::new(Arc::new(Memory::new(MemoryOptions { max_bytes: 64 << 20 })));
    let content = Content::new(Arc::new(driver.clone()), ContentOptions::default(), Metrics::unregistered());
    let engine = Engine::start(EngineOptions {
        driver: Arc::new(driver.clone()),
        blobs: content.blobs().clone(),
        hashes: HashPool::start(1).unwrap(),
        metrics: Metrics::unregistered(),
        clock: Arc::new(SystemClock),
        uploads: crate::config::UploadsConfig::default(),
        max_open_files: 100,
        boot: None,
        syncs: true,
        scans: false,
        batch_bytes: EngineOptions::BATCH_BYTES,
        checkpoint_durability: Durability::Process,
        threads: 1,
    });
    Fixture { driver, registry: LocalRegistry::new(options, content.clone(), engine), content }
}

impl Fixture {
    fn repository(&self, name: &str) -> Box<dyn Repository> {
        self.registry.repository(&name.parse().unwrap(), &Caller::default()).unwrap()
    }

    async fn push_blob(&self, name: &str) -> Digest {
        let digest: Digest = EMPTY_JSON.parse().unwrap();
        let data = Bytes::from_static(b"{}");
        let key = keys::blob_data(&digest);
        self.driver.put(&key, data, PutMode::Overwrite, Durability::Process).await.unwrap();
        self.content.blobs().link(&name.parse().unwrap(), &digest, 2).await.unwrap();
        digest
    }

    async fn push_index(&self, name: &str, tag: &str) -> Digest {
        self.repository(name).manifests().put(put(tag, INDEX)).await.unwrap().digest
    }
}

fn put(reference: &str, data: &'static str) -> PutManifest {
    PutManifest {
        reference: reference.parse().unwrap(),
        tags: Vec::new(),
        media_type: None,
        data: Bytes::from_static(data.as_bytes()),
        precondition: Precondition::None,
    }
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

#[actix::test]
async fn what_is_unknown_is_the_repository_or_what_was_asked_of_it() {
    let fixture = fixture(LocalRegistryOptions::default());
    fixture.push_blob("held").await;
    for (name, name_is_known) in [("held", true), ("nowhere", false)] {
        let repository = fixture.repository(name);
        for asked in ["latest", EMPTY_JSON] {
            let asked = reference(asked);
            let get = repository.manifests().get(&asked).await.map(drop);
            let delete = repository.manifests().delete(&asked).await;
            for error in [get.unwrap_err(), delete.unwrap_err()] {
                match error {
                    RegistryError::ManifestUnknown(text) if name_is_known => assert_eq!(text, asked.to_string()),
                    RegistryError::NameUnknown if !name_is_known => {}
                    other => panic!("{name} {asked}: {other:?}"),
                }
            }
        }
    }
    let absent = fixture.repository("nowhere");
    let digest: Digest = EMPTY_JSON.parse().unwrap();
    assert!(
        matches!(absent.blobs().stat(&digest).await, Err(RegistryError::BlobUnknown(unknown)) if unknown == digest)
    );
    assert!(matches!(absent.blobs().fetch(&digest, None).await, Err(RegistryError::BlobUnknown(_))));
    assert!(matches!(absent.blobs().delete(&digest).await, Err(RegistryError::BlobUnknown(_))));
}

#[actix::test]
async fn a_list_of_tags_is_empty_or_its_repository_unknown() {
    let fixture = fixture(LocalRegistryOptions::default());
    fixture.push_blob("blobs-only").await;
    let list = async |name: &str| fixture.repository(name).tags().list(&PageRequest::default()).await;
    assert_eq!(list("blobs-only").await.unwrap().items.len(), 0);
    assert!(matches!(list("nowhere").await, Err(RegistryError::NameUnknown)));
    fixture.push_index("tagged", "v1").await;
    assert_eq!(list("tagged").await.unwrap().items, ["v1".parse().unwrap()]);
    fixture.repository("tagged").manifests().delete(&reference("v1")).await.unwrap();
    assert_eq!(list("tagged").await.unwrap().items.len(), 0, "the manifest is still there");
}

#[actix::test]
async fn pages_have_a_longest_length() {
    let fixture = fixture(LocalRegistryOptions { page_max_items: 2, ..LocalRegistryOptions::default() });
    for tag in ["a", "b", "c"] {
        fixture.push_index("r", tag).await;
    }
    for name in ["s", "t"] {
        fixture.push_index(name, "v1").await;
    }
    let repository = fixture.repository("r");
    for (limit, expected) in [(None, 2), (Some(100), 2), (Some(1), 1)] {
        let request = PageRequest { limit, last: None };
        let tags = repository.tags().list(&request).await.unwrap();
        assert_eq!((tags.items.len(), tags.more), (expected, true));
        let names = fixture.registry.catalog(&request).await.unwrap();
        assert_eq!((names.items.len(), names.more), (expected, true));
    }
    let rest = PageRequest { limit: None, last: Some("b".into()) };
    let tags = repository.tags().list(&rest).await.unwrap();
    assert_eq!((tags.items, tags.more), (vec!["c".parse().unwrap()], false));
}

#[actix::test]
async fn mounting_without_a_source_can_be_turned_off() {
    for anonymous_mount in [true, false] {
        let fixture = fixture(LocalRegistryOptions { anonymous_mount, ..LocalRegistryOptions::default() });
        let digest = fixture.push_blob("from").await;
        let to = fixture.repository("to");
        assert_eq!(to.blobs().mount(&digest, None).await.unwrap().is_some(), anonymous_mount);
        assert_eq!(to.blobs().stat(&digest).await.is_ok(), anonymous_mount);
        let from = "from".parse().unwrap();
        assert_eq!(to.blobs().mount(&digest, Some(&from)).await.unwrap(), Some(2));
        let content = to.blobs().fetch(&digest, None).await.unwrap();
        assert_eq!((content.size_bytes, content.range.clone()), (2, 0..2));
        assert!(content.modified.is_some());
        assert_eq!(content.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"{}");
    }
}

#[actix::test]
async fn a_manifest_is_put_got_and_moved_under_conditions() {
    let fixture = fixture(LocalRegistryOptions::default());
    let repository = fixture.repository("r");
    let digest = fixture.push_index("r", "v1").await;
    let content = repository.manifests().get(&reference("v1")).await.unwrap();
    assert_eq!((content.digest, content.data), (digest.clone(), Bytes::from_static(INDEX.as_bytes())));
    assert_eq!(content.media_type, "application/vnd.oci.image.index.v1+json");
    let refused = PutManifest { precondition: Precondition::IsNew, ..put("v1", INDEX) };
    match repository.manifests().put(refused).await {
        Err(RegistryError::PreconditionFailed { tag, current }) => {
            assert_eq!((tag.as_str(), current), ("v1", Some(digest.clone())));
        }
        other => panic!("{other:?}"),
    }
    for precondition in [Precondition::Exists, Precondition::PointsAt(vec![digest])] {
        repository.manifests().put(PutManifest { precondition, ..put("v1", INDEX) }).await.unwrap();
    }
    let request =
        ReferrersRequest { subject: EMPTY_JSON.parse().unwrap(), artifact_type: None, page: PageRequest::default() };
    assert!(repository.manifests().referrers(&request).await.unwrap().items.is_empty());
}

#[actix::test]
async fn a_fault_of_the_storage_is_never_unknown() {
    let fixture = fixture(LocalRegistryOptions::default());
    let repository = fixture.repository("nowhere");
    let digest: Digest = EMPTY_JSON.parse().unwrap();
    let is_fault = |kind, error: RegistryError| match kind {
        StorageErrorKind::TimedOut => matches!(error, RegistryError::Unavailable(_)),
        StorageErrorKind::Full => matches!(error, RegistryError::StorageFull),
        _ => matches!(error, RegistryError::Internal(_)),
    };
    for kind in [StorageErrorKind::Fault, StorageErrorKind::TimedOut] {
        fixture.driver.inject(Fault::fail(kind).at(Operation::Get));
        assert!(is_fault(kind, repository.blobs().stat(&digest).await.unwrap_err()));
        fixture.driver.inject(Fault::fail(kind).at(Operation::Get));
        assert!(is_fault(kind, repository.manifests().get(&reference("v1")).await.unwrap_err()));
        fixture.driver.inject(Fault::fail(kind).at(Operation::List));
        assert!(is_fault(kind, repository.manifests().get(&reference("v1")).await.unwrap_err()));
        fixture.driver.inject(Fault::fail(kind).at(Operation::List));
        assert!(is_fault(kind, repository.tags().list(&PageRequest::default()).await.unwrap_err()));
    }
    fixture.driver.inject(Fault::fail(StorageErrorKind::Full).at(Operation::Put));
    let full = repository.manifests().put(put("v1", INDEX)).await.unwrap_err();
    assert!(is_fault(StorageErrorKind::Full, full));
}

#[actix::test]
async fn a_tag_that_moves_while_it_is_read_is_never_unknown() {
    let fixture = fixture(LocalRegistryOptions::default());
    let old = fixture.push_index("a", "v1").await;
    let gate = Gate::new();
    let name = "a".parse().unwrap();
    let current = keys::tag_current(&name, &"v1".parse().unwrap());
    fixture.driver.inject(Fault::hang(&gate).at(Operation::Get).on(current.as_str()).after_effect());
    let reader = fixture.repository("a");
    let reading = actix::spawn(async move { reader.manifests().get(&reference("v1")).await });
    gate.reached(1).await;
    let writer = fixture.repository("a");
    let new = writer.manifests().put(put("v1", r#"{"schemaVersion":2, "manifests":[]}"#)).await.unwrap().digest;
    writer.manifests().delete(&old.to_string().parse().unwrap()).await.unwrap();
    gate.release();
    assert_eq!(reading.await.unwrap().unwrap().digest, new);
}

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use longshore::transfer::{CopyOptions, Journal, copy};

use crate::unsteady::Unsteady;
use crate::world::*;

const SIZE: u64 = 3_000_001;
const PART: u64 = 1_000_003;

/// An image with one large layer, as `v1`.
async fn image_of(layer: &Bytes) -> Made {
    let made = Made::new().await;
    let image = made.image("amd64", &[made.blob(layer).await]).await;
    made.list(&image, Some("v1")).await;
    made
}

fn layer() -> Bytes {
    bytes(1, SIZE as usize)
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

async fn check(registry: &Unsteady) {
    assert_eq!(blob_of(registry, "app", &digest_of(&layer())).await.unwrap(), layer());
    assert!(tag_of(registry, "app", "v1").await.is_some());
}

/// Pushes until the registry hangs in the middle of the layer, and is dropped there when the config beside it is through.
async fn push_until_it_hangs(made: &Made, registry: &Unsteady, journal: &Journal) {
    registry.faults().hang_upload_at = Some(PART);
    let source = made.source("v1").await;
    let destination = to(&end(registry, "a.example", "app"), "v1", Some(journal));
    tokio::select! {
        done = run(source, destination) => panic!("{done:?}"),
        () = hang_and_config(registry) => {}
    }
    registry.faults().hang_upload_at = None;
    assert_eq!(tag_of(registry, "app", "v1").await, None);
}

async fn hang_and_config(registry: &Unsteady) {
    registry.hangs().await;
    let config = digest_of(config_of("amd64").as_bytes());
    while blob_of(registry, "app", &config).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn a_push_that_was_dropped_goes_on_where_it_was() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    push_until_it_hangs(&made, &registry, &journal).await;
    let received = registry.faults().received_bytes;
    let started = registry.faults().started_uploads;

    // The next process.
    let journal = Journal::open(folder.path()).await.unwrap();
    let target = end(&registry, "a.example", "app");
    let copied = run(made.source("v1").await, to(&target, "v1", Some(&journal))).await.unwrap();
    check(&registry).await;
    assert_eq!(copied.resumed_bytes, PART);
    assert_eq!(copied.sent_bytes, SIZE - PART);
    let faults = registry.faults();
    assert_eq!(faults.received_bytes, received + copied.sent_bytes, "nothing is sent twice");
    assert_eq!(faults.started_uploads, started, "the layer's upload is the old one");
    assert_eq!(files(folder.path()), 0, "what is done is forgotten");
}

#[actix::test]
async fn the_journal_of_another_destination_is_not_used() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    push_until_it_hangs(&made, &registry, &journal).await;
    for (address, name) in [("b.example", "app"), ("a.example", "other")] {
        let target = end(&registry, address, name);
        let copied = run(made.source("v1").await, to(&target, "v1", Some(&journal))).await.unwrap();
        assert_eq!(copied.resumed_bytes, 0);
    }
    assert_eq!(registry.faults().reopened_uploads, 0);
}

#[actix::test]
async fn an_upload_that_the_registry_has_lost_is_begun_anew() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    push_until_it_hangs(&made, &registry, &journal).await;
    registry.faults().loses_uploads = true;
    let target = end(&registry, "a.example", "app");
    let copied = run(made.source("v1").await, to(&target, "v1", Some(&journal))).await.unwrap();
    assert_eq!(copied.resumed_bytes, 0);
    check(&registry).await;
    assert_eq!(files(folder.path()), 0);
}

#[actix::test]
async fn a_registry_that_loses_every_upload_is_given_up() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    registry.faults().loses_all = true;
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    let target = to(&end(&registry, "a.example", "app"), "v1", Some(&journal));
    let error = run(made.source("v1").await, target).await.unwrap_err().to_string();
    assert!(error.starts_with("destination: blob ") && error.contains("upload is unknown"), "{error}");
    assert!(registry.faults().started_uploads <= 8);
}

#[actix::test]
async fn an_upload_of_other_bytes_is_thrown_away() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    push_until_it_hangs(&made, &registry, &journal).await;
    // Somebody else finds the ticket and puts it where this blob's is; or the registry mixes uploads up.
    let other = Made::new().await;
    let image = other.image("amd64", &[other.blob(&bytes(9, SIZE as usize)).await]).await;
    other.list(&image, Some("v1")).await;
    let elsewhere = tempfile::tempdir().unwrap();
    push_until_it_hangs(&other, &registry, &Journal::open(elsewhere.path()).await.unwrap()).await;
    let ticket = |folder: &Path| {
        let path = large_record(folder);
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path, record)
    };
    let ((path, mut record), (_, foreign)) = (ticket(folder.path()), ticket(elsewhere.path()));
    record["ticket"] = foreign["ticket"].clone();
    std::fs::write(path, record.to_string()).unwrap();

    let target = end(&registry, "a.example", "app");
    let copied = run(made.source("v1").await, to(&target, "v1", Some(&journal))).await.unwrap();
    assert_eq!(copied.resumed_bytes, 0, "{copied:?}");
    check(&registry).await;
}

/// The record of the layer; the config's upload may be there too.
fn large_record(folder: &Path) -> std::path::PathBuf {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut records = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    records.find(|path| std::fs::read_to_string(path).unwrap().contains(&SIZE.to_string())).unwrap()
}

#[actix::test]
async fn what_breaks_off_goes_on_within_a_run() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    registry.faults().cut_upload_at = Some(PART);
    registry.faults().loses_commit_answer = true;
    let told = Told::default();
    let target = to(&end(&registry, "a.example", "app"), "v1", None);
    let source = made.source("v1").await;
    let copied = copy(source, target, CopyOptions::default(), Arc::new(told.clone())).await.unwrap();
    check(&registry).await;
    assert!(told.has("BlobInterrupted") && told.has(&format!("offset_bytes: {PART} ")), "{:?}", told.lines());
    assert_eq!(copied.resumed_bytes, 0);

    registry.faults().cut_fetch_after = Some(1000);
    let folder = tempfile::tempdir().unwrap();
    let source = from(&end(&registry, "a.example", "app"), "v1");
    let pulled = run(source, to_layout(folder.path(), "v1").await).await.unwrap();
    assert_eq!(pulled.sent_bytes, SIZE + config_bytes(), "nothing is read twice");
    assert!(registry.faults().fetched_ranges.contains(&Some(1000..SIZE)));
}

#[actix::test]
async fn a_copy_between_registries_goes_on_at_both_ends() {
    let (made, first, second) = (image_of(&layer()).await, Unsteady::new(registry()), Unsteady::new(registry()));
    let (a, b) = (end(&first, "a.example", "app"), end(&second, "b.example", "app"));
    run(made.source("v1").await, to(&a, "v1", None)).await.unwrap();
    second.faults().cut_upload_at = Some(PART);
    first.faults().cut_fetch_after = Some(1000);
    run(from(&a, "v1"), to(&b, "v1", None)).await.unwrap();
    check(&second).await;
    let ranges = first.faults().fetched_ranges.clone();
    assert!(ranges.contains(&Some(1000..SIZE)) && ranges.contains(&Some(PART..SIZE)), "{ranges:?}");
}

#[actix::test]
async fn a_pull_that_was_dropped_goes_on_where_it_was() {
    let (made, registry) = (image_of(&layer()).await, Unsteady::new(registry()));
    let a = end(&registry, "a.example", "app");
    run(made.source("v1").await, to(&a, "v1", None)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let partial = folder.path().join(".longshore-partial");
    std::fs::create_dir_all(&partial).unwrap();
    let file = partial.join(format!("sha256-{}", digest_of(&layer()).hex()));
    std::fs::write(&file, &layer()[..PART as usize]).unwrap();
    let pulled = run(from(&a, "v1"), to_layout(folder.path(), "v1").await).await.unwrap();
    assert_eq!(pulled.resumed_bytes, PART);
    assert!(registry.faults().fetched_ranges.contains(&Some(PART..SIZE)));

    // What was left is wrong: it is thrown away, and all of it fetched.
    let other = tempfile::tempdir().unwrap();
    let partial = other.path().join(".longshore-partial");
    std::fs::create_dir_all(&partial).unwrap();
    std::fs::write(partial.join(file.file_name().unwrap()), vec![0; PART as usize]).unwrap();
    let pulled = run(from(&a, "v1"), to_layout(other.path(), "v1").await).await.unwrap();
    assert_eq!(pulled.resumed_bytes, 0);
    assert!(!partial.exists());
}

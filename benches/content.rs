//! What lists, look-ups and deletes cost on a filesystem, in a repository with many tags.
//!
//! `cargo bench --bench content` (`-- <tags>` for another number of tags than 100,000). Each line is the median and the
//! 99th percentile of its runs, in microseconds, or one time in milliseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore::content::{Content, ContentOptions, NewManifest, ReferrersQuery, TagCondition};
use longshore::oci::{Digest, Reference, RepositoryName, Tag};
use longshore::storage::filesystem::{Filesystem, FilesystemOptions};
use longshore::storage::keys;
use longshore::telemetry::Metrics;

const PAGE_ITEMS: usize = 100;
const RUNS: usize = 1000;
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

#[tokio::main]
async fn main() {
    let tags = std::env::args().filter_map(|argument| argument.parse().ok()).next_back().unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().to_path_buf();
    let name: RepositoryName = "bench/tags".parse().expect("a name");
    let digest = put_index(&content(&root), &name, "tag-0000000").await;
    let started = Instant::now();
    write_tags(&root, &name, &digest, tags);
    println!("made a repository of {tags} tags in {:.1} s", started.elapsed().as_secs_f64());

    pages(&root, &name, tags).await;
    look_ups(&root, &name, &digest, tags).await;
    delete(&root, &name, &digest).await;
}

fn content(root: &Path) -> Content {
    let driver = Filesystem::open(FilesystemOptions::new(root)).expect("the root opens");
    Content::new(Arc::new(driver), ContentOptions::default(), Metrics::unregistered())
}

fn tag(number: usize) -> Tag {
    format!("tag-{number:07}").parse().expect("a tag")
}

async fn put_index(content: &Content, name: &RepositoryName, tag: &str) -> Digest {
    let new = NewManifest {
        repository: name.clone(),
        reference: Reference::Tag(tag.parse().expect("a tag")),
        tags: Vec::new(),
        media_type: None,
        data: INDEX.into(),
        condition: TagCondition::Any,
    };
    content.manifests().put(new).await.expect("the manifest is taken").digest
}

/// As another program would have left them: plain files.
fn write_tags(root: &Path, name: &RepositoryName, digest: &Digest, tags: usize) {
    for number in 1..tags {
        let link: PathBuf = root.join(keys::tag_current(name, &tag(number)).as_str());
        std::fs::create_dir_all(link.parent().expect("a link has a folder")).expect("the folder is made");
        std::fs::write(&link, digest.to_string()).expect("the link is written");
    }
}

async fn pages(root: &Path, name: &RepositoryName, tags: usize) {
    for (place, last) in [("start", None), ("middle", Some(tag(tags / 2))), ("end", Some(tag(tags - PAGE_ITEMS - 1)))] {
        let content = content(root);
        let last = last.as_ref().map(Tag::as_str);
        let page = async || {
            let page = content.tags().list(name, last, PAGE_ITEMS).await.expect("a page").expect("there are tags");
            assert_eq!(page.items.len(), PAGE_ITEMS);
        };
        let first = timed(&page).await;
        let times = repeated(&page).await;
        report(&format!("page of {PAGE_ITEMS} tags at the {place}"), &times);
        println!("{:48} {:9.1} ms", "  the first one after a start", first.as_secs_f64() * 1e3);
    }
}

async fn look_ups(root: &Path, name: &RepositoryName, digest: &Digest, tags: usize) {
    let content = content(root);
    let middle = tag(tags / 2);
    let get = async || {
        let found = content.tags().resolve(name, &middle).await.expect("a look-up").expect("the tag");
        assert!(content.manifests().get(name, &found).await.expect("a look-up").is_some());
    };
    report("manifest by tag, warm", &repeated(&get).await);
    let known = async || assert!(content.manifests().exists(name, digest).await.expect("a look-up"));
    report("descriptor that is cached", &repeated(&known).await);
    let query = ReferrersQuery {
        repository: name.clone(),
        subject: digest.clone(),
        artifact_type: None,
        last: None,
        limit: PAGE_ITEMS,
    };
    let referrers = async || assert!(content.referrers().list(&query).await.expect("a list").items.is_empty());
    report("referrers of a manifest that has none", &repeated(&referrers).await);
    let catalog = async || assert_eq!(content.catalog().page(None, PAGE_ITEMS).await.expect("a page").items.len(), 1);
    report("catalog of one repository", &repeated(&catalog).await);
    let put = async || assert_eq!(put_index(&content, name, middle.as_str()).await, *digest);
    report("manifest put by tag, synced", &repeated(&put).await);
}

async fn delete(root: &Path, name: &RepositoryName, digest: &Digest) {
    let content = content(root);
    let moved = Content::tags(&content);
    let other = tag(0);
    assert!(moved.delete(name, &other).await.expect("a delete"));
    let time = timed(&async || {
        assert!(content.manifests().delete(name, digest).await.expect("a delete"));
    })
    .await;
    println!("{:48} {:9.1} ms", "manifest deleted with all its tags", time.as_secs_f64() * 1e3);
}

async fn timed(work: &impl AsyncFn()) -> Duration {
    let started = Instant::now();
    work().await;
    started.elapsed()
}

async fn repeated(work: &impl AsyncFn()) -> Vec<Duration> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        times.push(timed(work).await);
    }
    times.sort_unstable();
    times
}

fn report(what: &str, sorted: &[Duration]) {
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e6;
    println!("{what:48} {:9.1} us median, {:9.1} us p99", at(0.5), at(0.99));
}

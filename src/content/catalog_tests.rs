use super::*;
use crate::content::testing::{Fixture, repository};
use crate::storage::StorageErrorKind;
use crate::storage::adapters::Operation;

async fn names(fixture: &Fixture, last: Option<&str>, limit: usize) -> (Vec<String>, bool) {
    let page = fixture.content.catalog().page(last, limit).await.unwrap();
    (page.items.iter().map(|name| name.to_string()).collect(), page.more)
}

async fn with_repositories(names: &[&str]) -> Fixture {
    let fixture = Fixture::new();
    for name in names {
        fixture.push_blob(&repository(name), b"layer").await;
    }
    fixture
}

const SORTED: [&str; 9] = ["0", "a", "a/0", "a/b", "a/b/c", "a-b", "a-b/c", "b/c/d/e", "z"];

#[tokio::test]
async fn the_order_is_by_component() {
    let fixture = with_repositories(&SORTED).await;
    assert_eq!(names(&fixture, None, 100).await, (SORTED.map(str::to_owned).to_vec(), false));
    let mut sorted = SORTED.map(repository);
    sorted.sort();
    assert_eq!(sorted.map(|name| name.to_string()), SORTED);
}

#[tokio::test]
async fn pages_go_on_after_any_name() {
    let fixture = with_repositories(&SORTED).await;
    for limit in 1..=SORTED.len() {
        let (mut seen, mut last): (Vec<String>, Option<String>) = (Vec::new(), None);
        loop {
            let (page, more) = names(&fixture, last.as_deref(), limit).await;
            assert!(page.len() == limit || !more);
            last = page.last().cloned();
            seen.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(seen, SORTED, "pages of {limit}");
    }
    for (last, expected) in [
        ("a/a", Some("a/b")),
        ("a/b/d", Some("a-b")),
        ("b", Some("b/c/d/e")),
        ("b/c/d/f", Some("z")),
        ("a//x", Some("a/0")),
        ("a/../x", Some("a/0")),
        ("_x", Some("a")),
        ("a/_layers/sha256", Some("a/b")),
        ("z", None),
        ("zz/y", None),
    ] {
        assert_eq!(names(&fixture, Some(last), 1).await.0.first().map(String::as_str), expected, "after {last}");
    }
    assert_eq!(names(&fixture, None, 0).await, (Vec::new(), false));
}

#[tokio::test]
async fn only_what_holds_content_is_listed() {
    let fixture = with_repositories(&["emptied", "kept"]).await;
    let digest = crate::content::testing::digest_of(b"layer");
    fixture.content.blobs().delete(&repository("emptied"), &digest).await.unwrap();
    let uploads = keys::uploads(&repository("uploading"));
    fixture.probe.write(&uploads.child("6e5b4f5c-1f6e-4a3d-9d3e-0a1b2c3d4e5f/startedat").unwrap(), "x").await;
    fixture.probe.write(&keys::repositories().child("a-file").unwrap(), "x").await;
    fixture.probe.write(&keys::repositories().child("No.Name/_layers/sha256/00/link").unwrap(), "x").await;
    let manifest_only = repository("manifests/only");
    fixture.write_as_distribution(&manifest_only, "{}").await;
    assert_eq!(names(&fixture, None, 100).await.0, ["kept", "manifests/only"]);
    let catalog = fixture.content.catalog();
    assert!(catalog.contains(&manifest_only).await.unwrap());
    assert!(!catalog.contains(&repository("emptied")).await.unwrap());
    assert!(!catalog.contains(&repository("uploading")).await.unwrap());
    assert!(!catalog.contains(&repository("nowhere")).await.unwrap());
}

#[tokio::test]
async fn folders_that_a_delete_of_distribution_left_are_no_content() {
    let fixture = with_repositories(&["a"]).await;
    // A folder without a link: another file stands for distribution's empty folder, which memory cannot have.
    let digest = crate::content::testing::digest_of(b"gone");
    let left = keys::layer_links(&repository("left"), digest.algorithm()).child(digest.hex()).unwrap();
    fixture.probe.write(&left.child("other").unwrap(), "x").await;
    assert_eq!(names(&fixture, None, 100).await.0, ["a"]);
}

#[tokio::test]
async fn a_page_does_not_walk_the_whole_tree() {
    let all: Vec<String> = (0..300).map(|number| format!("org{:02}/app{number:03}", number / 10)).collect();
    let fixture = with_repositories(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
    fixture.probe.take_calls();
    let (page, more) = names(&fixture, Some("org15/app154"), 10).await;
    assert_eq!((page.first().unwrap().as_str(), page.len(), more), ("org15/app155", 10, true));
    let calls = fixture.probe.take_calls().len();
    assert!(calls <= 11 * 5 + 6, "{calls} calls");
}

#[tokio::test]
async fn a_fault_is_no_shorter_list() {
    let fixture = with_repositories(&["a", "b"]).await;
    fixture.probe.fail(Operation::List, &keys::repository(&repository("b")), StorageErrorKind::Fault);
    assert!(fixture.content.catalog().page(None, 10).await.is_err());
    fixture.probe.fail(Operation::List, &keys::repositories(), StorageErrorKind::TimedOut);
    assert!(fixture.content.catalog().page(None, 10).await.is_err());
}

#[tokio::test]
async fn a_start_deeper_than_any_name_costs_no_more_than_a_name() {
    let fixture = with_repositories(&["a/b", "b"]).await;
    fixture.probe.take_calls();
    let deep = "a/".repeat(20_000);
    assert_eq!(names(&fixture, Some(&deep), 10).await.0, ["a/b", "b"]);
    let calls = fixture.probe.take_calls().len();
    assert!(calls < 200, "{calls} calls");
}

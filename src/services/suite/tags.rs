use super::manifests::{by_tag, empty_index, put};
use super::support::{Bench, page, pattern, push, start};
use super::{Case, assert_fails, case};
use crate::oci::{Reference, RepositoryName, Tag};
use crate::services::{PageRequest, RegistryError};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("tags are listed in byte order, in pages", tag_pages),
        case!("a repository without tags has an empty list, one without anything none", no_tags),
        case!("repositories that hold something are listed in order, in pages", catalog_pages),
        case!("a repository is listed when it holds something", catalog_changes),
    ]
}

async fn tag_pages(bench: Bench) {
    let repository = bench.repository("a");
    let all = ["1", "A", "Z.9", "_", "a", "a-b", "a.b", "a_b", "b"];
    for name in ["b", "a_b", "1", "a", "_", "A", "a.b", "Z.9", "a-b"] {
        put(repository.manifests(), by_tag(name), &empty_index(0)).await;
    }
    let list = async |request: PageRequest| {
        let listed = repository.tags().list(&request).await.expect("the tags are listed");
        let names: Vec<String> = listed.items.iter().map(Tag::to_string).collect();
        (names, listed.more)
    };
    assert_eq!(list(page(None, None)).await, (all.map(str::to_owned).to_vec(), false));
    for limit in [1, 4, 9, 10] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let (names, more) = list(page(Some(limit), found.last().map(String::as_str))).await;
            assert!(names.len() <= limit);
            assert!(!more || names.len() == limit, "a page that is not full says that there is more");
            found.extend(names);
            assert_eq!(more, found.len() < all.len());
            if !more {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {limit}");
    }
    for (last, rest) in [("0", 0), ("1", 1), ("B", 2), ("a-c", 6), ("a.b", 7), ("zz", 9)] {
        assert_eq!(
            list(page(None, Some(last))).await,
            (all[rest..].iter().map(|name| name.to_string()).collect(), false),
            "{last}"
        );
    }
    assert_eq!(list(page(Some(2), Some("B"))).await, (vec!["Z.9".to_owned(), "_".to_owned()], true));
    assert_eq!(list(page(Some(0), None)).await, (vec![], false));
}

async fn no_tags(bench: Bench) {
    let everything = page(None, None);
    push(&*bench.repository("blob"), &pattern(1, 10)).await;
    let upload = start(&*bench.repository("upload")).await;
    let stored = put(bench.repository("untagged").manifests(), by_tag("latest"), &empty_index(0)).await;
    bench.repository("untagged").manifests().delete(&by_tag("latest")).await.expect("the tag is deleted");
    for name in ["blob", "untagged"] {
        let listed = bench.repository(name).tags().list(&everything).await.expect("the tags are listed");
        assert_eq!((listed.items, listed.more), (vec![], false), "{name}");
    }
    for name in ["upload", "nowhere"] {
        assert_fails!(bench.repository(name).tags().list(&everything).await, RegistryError::NameUnknown);
    }
    let untagged = bench.repository("untagged");
    untagged.manifests().delete(&Reference::Digest(stored.digest)).await.expect("the manifest is deleted");
    assert_fails!(untagged.tags().list(&everything).await, RegistryError::NameUnknown);
    upload.cancel().await.expect("the upload is cancelled");
}

/// The case's repositories from `last` on, and whether the whole list goes on.
async fn catalog(bench: &Bench, limit: Option<usize>, last: &str) -> (Vec<RepositoryName>, bool) {
    let listed = bench.registry.catalog(&page(limit, Some(last))).await.expect("the catalog is listed");
    assert!(listed.items.is_sorted(), "{:?}", listed.items);
    let own = format!("{}/", bench.folder());
    let is_own = |name: &RepositoryName| name.as_str().starts_with(&own);
    let others = listed.items.iter().any(|name| !is_own(name));
    (listed.items.into_iter().filter(is_own).collect(), listed.more && !others)
}

async fn catalog_pages(bench: Bench) {
    // A repository stands before those that are in it, and those before its siblings.
    let all = ["a", "a/b", "a/b/c", "a-b", "a.b", "a0", "b"].map(|name| bench.name(name));
    for name in ["b", "a.b", "a/b/c", "a0", "a", "a-b", "a/b"] {
        put(bench.repository(name).manifests(), by_tag("latest"), &empty_index(0)).await;
    }
    assert_eq!(catalog(&bench, None, bench.folder()).await.0, all);
    for limit in [1, 3, 7, 8] {
        let mut found: Vec<RepositoryName> = Vec::new();
        loop {
            let last = found.last().map_or(bench.folder(), |name| name.as_str()).to_owned();
            let (names, more) = catalog(&bench, Some(limit), &last).await;
            assert!(names.len() <= limit);
            assert!(!more || names.len() == limit, "a page that is not full says that there is more");
            if names.is_empty() {
                break;
            }
            found.extend(names);
            if !more {
                break;
            }
        }
        assert_eq!(found, all, "in pages of {limit}");
    }
    for (last, rest) in [("a", 1), ("a/a", 1), ("a/c", 3), ("a.", 4), ("a-c", 4), ("aa", 6)] {
        assert_eq!(catalog(&bench, None, &format!("{}/{last}", bench.folder())).await.0, all[rest..], "{last}");
    }
    let (names, more) = catalog(&bench, Some(3), bench.folder()).await;
    assert_eq!((names.as_slice(), more), (&all[..3], true));
    assert_eq!(catalog(&bench, Some(0), bench.folder()).await, (vec![], false));
}

async fn catalog_changes(bench: Bench) {
    let upload = start(&*bench.repository("upload")).await;
    assert_eq!(catalog(&bench, None, bench.folder()).await.0, []);
    upload.cancel().await.expect("the upload is cancelled");
    let blob = push(&*bench.repository("blob"), &pattern(1, 10)).await;
    let manifest = put(bench.repository("manifest").manifests(), by_tag("latest"), &empty_index(0)).await.digest;
    assert_eq!(catalog(&bench, None, bench.folder()).await.0, [bench.name("blob"), bench.name("manifest")]);
    bench.repository("blob").blobs().delete(&blob).await.expect("the blob is deleted");
    assert_eq!(catalog(&bench, None, bench.folder()).await.0, [bench.name("manifest")]);
    let manifests = bench.repository("manifest");
    manifests.manifests().delete(&Reference::Digest(manifest)).await.expect("the manifest is deleted");
    assert_eq!(catalog(&bench, None, bench.folder()).await.0, []);
}

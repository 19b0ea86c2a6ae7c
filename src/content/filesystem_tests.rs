//! The stores over files: the layout, and what is left when all is deleted.

use std::path::Path;
use std::sync::Arc;

use super::testing::{digest_of, files_below, image, new_manifest, repository, tag};
use super::{Content, ContentOptions, ReferrersQuery};
use crate::oci::Digest;
use crate::storage::filesystem::{Filesystem, FilesystemOptions};
use crate::storage::{Driver, Durability, PutMode, keys};
use crate::telemetry::Metrics;

async fn content_with_a_blob(root: &Path, data: &'static [u8]) -> (Content, Digest) {
    let driver = Arc::new(Filesystem::open(FilesystemOptions { sync: false, ..FilesystemOptions::new(root) }).unwrap());
    let digest = digest_of(data);
    driver.put(&keys::blob_data(&digest), data.into(), PutMode::Overwrite, Durability::Process).await.unwrap();
    let content = Content::new(driver, ContentOptions::default(), Metrics::unregistered());
    content.blobs().link(&repository("library/app"), &digest, data.len() as u64).await.unwrap();
    (content, digest)
}

fn files_of_repositories(root: &Path) -> Vec<String> {
    let files = files_below(root).into_iter();
    files.filter_map(|file| Some(file.strip_prefix("docker/registry/v2/repositories/")?.to_owned())).collect()
}

#[tokio::test]
async fn files_are_laid_out_as_distribution_does_and_all_of_them_go() {
    let folder = tempfile::tempdir().unwrap();
    let (content, blob) = content_with_a_blob(folder.path(), b"config").await;
    let name = repository("library/app");
    let data = image(&blob, &[], "");
    let digest = content.manifests().put(new_manifest(&name, "v1", data)).await.unwrap().digest;
    let subject = format!(r#","subject":{}"#, super::testing::descriptor("a/b", &digest));
    let referrer =
        content.manifests().put(new_manifest(&name, "v2", image(&blob, &[], &subject))).await.unwrap().digest;
    let query = ReferrersQuery {
        repository: name.clone(),
        subject: digest.clone(),
        artifact_type: None,
        last: None,
        limit: 10,
    };
    assert_eq!(content.referrers().list(&query).await.unwrap().items.len(), 1);

    let files = files_of_repositories(folder.path());
    for expected in [
        format!("library/app/_layers/sha256/{}/link", blob.hex()),
        format!("library/app/_manifests/revisions/sha256/{}/link", digest.hex()),
        "library/app/_manifests/tags/v1/current/link".to_owned(),
        format!("library/app/_manifests/tags/v1/index/sha256/{}/link", digest.hex()),
        format!("library/app/_referrers/subjects/sha256-{0}/sha256-{1}", digest.hex(), referrer.hex()),
    ] {
        assert!(files.contains(&expected), "{expected} is not in {files:#?}");
    }
    let link = folder.path().join(keys::tag_current(&name, &tag("v1")).as_str());
    assert_eq!(std::fs::read_to_string(link).unwrap(), digest.to_string());

    assert!(content.tags().delete(&name, &tag("v1")).await.unwrap());
    for digest in [&digest, &referrer] {
        assert!(content.manifests().delete(&name, digest).await.unwrap());
    }
    assert!(content.blobs().delete(&name, &blob).await.unwrap());
    assert_eq!(files_of_repositories(folder.path()), [""; 0]);
    assert!(content.catalog().page(None, 10).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn folders_that_distribution_left_empty_hold_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (content, blob) = content_with_a_blob(folder.path(), b"config").await;
    let emptied = repository("emptied");
    let left = [
        keys::layer_link(&emptied, &blob),
        keys::revision_link(&emptied, &blob),
        keys::tag_current(&emptied, &tag("v1")),
    ];
    for key in left {
        std::fs::create_dir_all(folder.path().join(key.as_str()).parent().unwrap()).unwrap();
    }
    assert!(!content.catalog().contains(&emptied).await.unwrap());
    assert_eq!(content.catalog().page(None, 10).await.unwrap().items, [repository("library/app")]);
    assert_eq!(content.blobs().stat(&emptied, &blob).await.unwrap(), None);
    assert_eq!(content.tags().resolve(&emptied, &tag("v1")).await.unwrap(), None);
    assert!(!content.tags().delete(&emptied, &tag("v1")).await.unwrap());
    assert_eq!(content.tags().list(&emptied, None, 10).await.unwrap(), None, "the leftovers of the tag are gone");
}

//! What is swept: each operation of a push and of a delete, as a client does it that tries again.

use bytes::Bytes;
use longshore::storage::{Durability, Key, PutMode, SharedDriver, keys};
use reqwest::Method;

use crate::harness::pusher::{Pusher, Way};
use crate::harness::seeded::Random;
use crate::harness::{Registry, ReplyExt as _, digest_of, image_manifest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Chunked,
    Streamed,
    OnePut,
    SinglePost,
    /// A push that another process began.
    Resumed,
    /// The end of an upload that another process wrote.
    EndedElsewhere,
    Cancel,
    Mount,
    Manifest,
    DeleteManifest,
    DeleteTag,
    DeleteBlob,
}

/// What an operation finds.
pub struct Prepared {
    repository: String,
    random: Random,
    data: Bytes,
    manifest: Bytes,
    location: String,
}

impl Operation {
    pub const ALL: [Operation; 12] = [
        Operation::Chunked,
        Operation::Streamed,
        Operation::OnePut,
        Operation::SinglePost,
        Operation::Resumed,
        Operation::EndedElsewhere,
        Operation::Cancel,
        Operation::Mount,
        Operation::Manifest,
        Operation::DeleteManifest,
        Operation::DeleteTag,
        Operation::DeleteBlob,
    ];

    /// Those of few calls, for which two faults in a row are tried as well.
    pub const SHORT: [Operation; 7] = [
        Operation::SinglePost,
        Operation::Cancel,
        Operation::Mount,
        Operation::Manifest,
        Operation::DeleteManifest,
        Operation::DeleteTag,
        Operation::DeleteBlob,
    ];

    /// Makes what it needs, where no cache of the registry has seen it: content as another registry leaves it, uploads in
    /// a process that ends.
    pub async fn prepare(self, raw: &SharedDriver, repository: &str, mut random: Random) -> Prepared {
        let length = match self {
            // More than one batch.
            Operation::Streamed => 700_000,
            Operation::Chunked => 500_000,
            _ => 100_000,
        };
        let data = random.bytes(length);
        let mut prepared = Prepared {
            repository: repository.to_owned(),
            random,
            data,
            manifest: Bytes::new(),
            location: String::new(),
        };
        if matches!(self, Operation::Chunked | Operation::Streamed | Operation::OnePut | Operation::SinglePost) {
            return prepared;
        }
        let data = prepared.data.clone();
        match self {
            Operation::Cancel | Operation::Resumed | Operation::EndedElsewhere => {
                let other = Registry::start_on(raw, |_| {}).await;
                let kept = if self == Operation::EndedElsewhere { data.len() } else { data.len() / 2 };
                let location = other.begin(repository).await;
                let patched = other.patch(&location, data.slice(..kept), None).await.expect(202).await;
                prepared.location = patched.value("location");
                other.stop_unchecked().await;
            }
            Operation::Mount => drop(lay_blob(raw, &prepared.source(), &data).await),
            _ => {
                let config = lay_blob(raw, repository, &prepared.random.bytes(50)).await;
                let layer = lay_blob(raw, repository, &data).await;
                prepared.manifest = serde_json::to_vec(&image_manifest(&config, &[layer])).expect("JSON").into();
                if matches!(self, Operation::DeleteManifest | Operation::DeleteTag) {
                    lay_manifest(raw, repository, &prepared.manifest).await;
                }
            }
        }
        prepared
    }

    /// Does it, until it has succeeded, and checks what it did with the same registry.
    pub async fn run(self, pusher: &Pusher, prepared: &mut Prepared) {
        let Prepared { repository, random, data, manifest, location } = prepared;
        let digest = digest_of(data);
        match self {
            Operation::Chunked => drop(pusher.push(repository, data, Way::Chunks, random).await),
            Operation::Streamed => drop(pusher.push(repository, data, Way::Streamed, random).await),
            Operation::OnePut => drop(pusher.push(repository, data, Way::OnePut, random).await),
            Operation::SinglePost => drop(pusher.push(repository, data, Way::SinglePost, random).await),
            Operation::Resumed | Operation::EndedElsewhere => {
                let kept = if self == Operation::Resumed { data.len() / 2 } else { data.len() };
                pusher.go_on(repository, location, kept as u64, data, random).await;
            }
            Operation::Cancel => pusher.end_upload(location).await,
            Operation::Mount => {
                let path = format!("/v2/{repository}/blobs/uploads/?mount={digest}&from={}", source(repository));
                let reply = pusher.until_answered(Method::POST, &path).await;
                assert_eq!(reply.status, 201, "{path}: the blob is there");
                pusher.check_blob(repository, &digest, data).await;
            }
            Operation::Manifest => {
                assert_eq!(pusher.put_manifest(repository, "v1", manifest).await, digest_of(manifest));
                for reference in ["v1", &digest_of(manifest)] {
                    let path = format!("/v2/{repository}/manifests/{reference}");
                    let reply = pusher.until_answered(Method::GET, &path).await;
                    assert_eq!((reply.status, &reply.body), (200, &*manifest), "{path}");
                }
            }
            Operation::DeleteManifest => {
                let path = format!("/v2/{repository}/manifests/{}", digest_of(manifest));
                delete(pusher, &path).await;
                let tag = format!("/v2/{repository}/manifests/v1");
                assert_eq!(pusher.until_answered(Method::GET, &tag).await.status, 404, "{tag}");
            }
            Operation::DeleteTag => {
                delete(pusher, &format!("/v2/{repository}/manifests/v1")).await;
                let path = format!("/v2/{repository}/manifests/{}", digest_of(manifest));
                assert_eq!(pusher.until_answered(Method::GET, &path).await.status, 200, "{path}");
            }
            Operation::DeleteBlob => delete(pusher, &format!("/v2/{repository}/blobs/{digest}")).await,
        }
    }

    /// Checks what is in storage, which no cache can hide.
    pub async fn check(self, raw: &SharedDriver, prepared: &Prepared) {
        let name = prepared.repository.parse().expect("a name");
        let digest = digest_of(&prepared.data).parse().expect("a digest");
        let is_there = async |key| match raw.stat(&key).await {
            Ok(_) => true,
            Err(error) if error.is_not_found() => false,
            Err(error) => panic!("{key}: {error}"),
        };
        let has_link = is_there(keys::layer_link(&name, &digest)).await;
        let has_blob = is_there(keys::blob_data(&digest)).await;
        match self {
            Operation::Cancel => assert!(!has_link && !has_blob, "a cancelled upload became a blob"),
            Operation::DeleteBlob => assert!(!has_link && has_blob, "link: {has_link}, bytes: {has_blob}"),
            _ => assert!(has_link && has_blob, "link: {has_link}, bytes: {has_blob}"),
        }
        if prepared.manifest.is_empty() || self == Operation::DeleteBlob {
            return;
        }
        let manifest = digest_of(&prepared.manifest).parse().expect("a digest");
        let has_revision = is_there(keys::revision_link(&name, &manifest)).await;
        let has_tag = is_there(keys::tag_current(&name, &"v1".parse().expect("a tag"))).await;
        let expected = match self {
            Operation::Manifest => (true, true),
            Operation::DeleteTag => (true, false),
            _ => (false, false),
        };
        assert_eq!((has_revision, has_tag), expected, "the revision's link and the tag");
    }
}

impl Prepared {
    /// The id of the upload that the client knows from before.
    pub fn told_ids(&self) -> Vec<String> {
        let path = self.location.split('?').next().expect("a path");
        path.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned).into_iter().collect()
    }

    fn source(&self) -> String {
        source(&self.repository)
    }
}

async fn lay(raw: &SharedDriver, key: Key, data: &Bytes) {
    raw.put(&key, data.clone(), PutMode::Overwrite, Durability::Process).await.expect("it is put");
}

/// A blob that the repository links; gives digest and size.
async fn lay_blob(raw: &SharedDriver, repository: &str, data: &Bytes) -> (String, usize) {
    let text = digest_of(data);
    let digest = text.parse().expect("a digest");
    lay(raw, keys::blob_data(&digest), data).await;
    lay(raw, keys::layer_link(&repository.parse().expect("a name"), &digest), &text.clone().into()).await;
    (text, data.len())
}

/// A manifest with the tag `v1`.
async fn lay_manifest(raw: &SharedDriver, repository: &str, data: &Bytes) {
    let (name, tag) = (repository.parse().expect("a name"), "v1".parse().expect("a tag"));
    let text = digest_of(data);
    let digest = text.parse().expect("a digest");
    lay(raw, keys::blob_data(&digest), data).await;
    for link in
        [keys::revision_link(&name, &digest), keys::tag_index(&name, &tag, &digest), keys::tag_current(&name, &tag)]
    {
        lay(raw, link, &text.clone().into()).await;
    }
}

fn source(repository: &str) -> String {
    format!("{repository}-source")
}

/// Deletes something that is there. That it is not there is the answer after one that failed, and only then.
async fn delete(pusher: &Pusher, path: &str) {
    let (failed, reply) = pusher.until_answered_counting(Method::DELETE, path).await;
    assert!(reply.status == 202 || reply.status == 404 && failed > 0, "{path}: {} after {failed} faults", reply.status);
    assert_eq!(pusher.until_answered(Method::GET, path).await.status, 404, "{path} was deleted");
}

//! What the registry has acknowledged, and must therefore have.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use reqwest::Method;

use crate::harness::pusher::Pusher;
use crate::harness::seeded::Random;
use crate::harness::{Alg, digest_of, files_below};

/// Everything that was acknowledged to any client.
#[derive(Default)]
pub struct Ledger {
    /// Repository and digest.
    blobs: Mutex<Vec<(String, String)>>,
    /// By repository and tag, each of which belongs to one client.
    tags: Mutex<BTreeMap<(String, String), Tag>>,
}

/// The manifests that a tag was moved to, in their order.
#[derive(Clone, Default)]
struct Tag {
    sent: Vec<String>,
    /// How many of them were acknowledged.
    acknowledged: usize,
}

impl Ledger {
    pub fn blob_is_there(&self, repository: &str, digest: String) {
        self.blobs.lock().expect("no panic").push((repository.to_owned(), digest));
    }

    pub fn tag_is_sent(&self, repository: &str, tag: &str, digest: String) {
        let mut tags = self.tags.lock().expect("no panic");
        tags.entry((repository.to_owned(), tag.to_owned())).or_default().sent.push(digest);
    }

    pub fn tag_is_there(&self, repository: &str, tag: &str) {
        let mut tags = self.tags.lock().expect("no panic");
        let tag = tags.get_mut(&(repository.to_owned(), tag.to_owned())).expect("it was sent");
        tag.acknowledged = tag.sent.len();
    }

    pub fn blobs(&self) -> usize {
        self.blobs.lock().expect("no panic").len()
    }

    pub fn tags(&self) -> usize {
        self.tags.lock().expect("no panic").len()
    }

    /// One of the blobs that are there.
    pub fn any_blob(&self, random: &mut Random) -> Option<(String, String)> {
        let blobs = self.blobs.lock().expect("no panic");
        (!blobs.is_empty()).then(|| blobs[random.below(blobs.len() as u64) as usize].clone())
    }

    /// Reads all tags and so many blobs (`None`: all) and compares them with what was acknowledged.
    pub async fn check(&self, pusher: &Pusher, blobs: Option<(u64, &mut Random)>) {
        let chosen = match blobs {
            None => self.blobs.lock().expect("no panic").clone(),
            Some((count, random)) => (0..count).filter_map(|_| self.any_blob(random)).collect(),
        };
        for (repository, digest) in chosen {
            let path = format!("/v2/{repository}/blobs/{digest}");
            let reply = pusher.until_answered(Method::GET, &path).await;
            assert_eq!(reply.status, 200, "{path} was acknowledged");
            assert_eq!(digest_of(&reply.body), digest, "{path} holds something else");
        }
        let names: Vec<_> = self.tags.lock().expect("no panic").keys().cloned().collect();
        for (repository, tag) in names {
            self.check_tag(pusher, &repository, &tag).await;
        }
    }

    async fn check_tag(&self, pusher: &Pusher, repository: &str, tag: &str) {
        let name = (repository.to_owned(), tag.to_owned());
        let before = self.tags.lock().expect("no panic")[&name].acknowledged;
        let path = format!("/v2/{repository}/manifests/{tag}");
        let reply = pusher.until_answered(Method::GET, &path).await;
        if before == 0 && reply.status == 404 {
            return;
        }
        assert_eq!(reply.status, 200, "{path}: {:?}", reply.body);
        let digest = reply.digest.expect("a digest");
        assert_eq!(digest_of(&reply.body), digest, "{path}");
        // Its owner may be moving it at this moment.
        let sent = self.tags.lock().expect("no panic")[&name].sent.clone();
        assert!(sent[before.saturating_sub(1)..].contains(&digest), "{path} leads to the older {digest}");
        let manifest: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let blob = format!("/v2/{repository}/blobs/{}", part["digest"].as_str().expect("a digest"));
            let head = pusher.until_answered(Method::HEAD, &blob).await;
            assert_eq!(head.status, 200, "{path} names {blob}");
        }
    }
}

/// Looks at the files of a registry that does not run: whatever moment it died at, a blob's file holds what its name
/// says, a link leads to a blob, and a tag to a manifest of its repository.
#[derive(Default)]
pub struct Autopsy {
    /// Blobs that were read before: they do not change.
    read: BTreeSet<String>,
}

impl Autopsy {
    pub fn of(&mut self, root: &Path) {
        for path in files_below(&root.join("docker/registry/v2")) {
            let name = path.to_str().expect("text").to_owned();
            let path = root.join("docker/registry/v2").join(&path);
            let parts: Vec<&str> = name.split('/').collect();
            match parts.as_slice() {
                ["blobs", algorithm, _, hex, "data"] if !self.read.contains(&name) => {
                    let algorithm = if *algorithm == "sha512" { Alg::Sha512 } else { Alg::Sha256 };
                    let data = std::fs::read(&path).expect("a file");
                    assert_eq!(algorithm.digest(&data), format!("{}:{hex}", algorithm.name()), "{name}");
                    self.read.insert(name);
                }
                [.., "link"] => {
                    let target = std::fs::read_to_string(&path).expect("a file");
                    let (algorithm, hex) = target.split_once(':').unwrap_or_else(|| panic!("{name}: {target:?}"));
                    let blob = format!("docker/registry/v2/blobs/{algorithm}/{}/{hex}/data", &hex[..2]);
                    assert!(root.join(&blob).exists(), "{name} leads to {blob}");
                    if let [.., "tags", _, "current", "link"] = parts.as_slice() {
                        let manifests = path.ancestors().nth(4).expect("a folder");
                        let revision = manifests.join(format!("revisions/{algorithm}/{hex}/link"));
                        assert!(revision.exists(), "{name} leads to {target}, which the repository does not have");
                    }
                }
                _ => {}
            }
        }
    }
}

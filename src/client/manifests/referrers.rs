//! What refers to a manifest: by the API, or by the tag that stands in for it.
//!
//! Source: distribution-spec, "Listing Referrers" and "Referrers Tag Schema".

use bytes::Bytes;
use http::Method;
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::client::address::set_query;
use crate::client::error::{ClientError, Failure};
use crate::client::lists::{MAX_EMPTY_PAGES, next_link};
use crate::client::repository::RepositoryClient;
use crate::oci::{Digest, Manifest, ManifestType, Reference, stored_media_type};
use crate::services::{Page, Precondition, PutManifest, Referrers, ReferrersRequest};

const OPERATION: &str = "list referrers";
const MAX_PAGE_BYTES: u64 = 32 << 20;
/// More than this refer to nothing, and are not kept in memory.
const MAX_REFERRERS: usize = 100_000;

impl RepositoryClient {
    /// The manifests whose subject is a digest, sorted by their digests. All of the registry's pages are read for each
    /// page of these: it may have any order.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn referrers(&self, request: &ReferrersRequest) -> Result<Referrers, ClientError> {
        let mut found = match self.by_api(request).await {
            Err(error) if error.is_not_found() => by_tag(self, &request.subject).await?,
            found => found?,
        };
        if let Some(wanted) = &request.artifact_type {
            found.retain(|entry| text(entry, "artifactType") == Some(wanted));
        }
        found.sort_by(|one, other| text(one, "digest").cmp(&text(other, "digest")));
        found.dedup_by(|one, other| text(one, "digest") == text(other, "digest"));
        if let Some(last) = &request.page.last {
            found.retain(|entry| text(entry, "digest") > Some(last));
        }
        let limit = request.page.limit.unwrap_or(usize::MAX);
        let more = limit > 0 && found.len() > limit;
        found.truncate(limit);
        Ok(Page { items: found, more })
    }

    async fn by_api(&self, request: &ReferrersRequest) -> Result<Vec<Map<String, Value>>, ClientError> {
        let mut url = self.endpoint(["referrers", &request.subject.to_string()]);
        if let Some(artifact_type) = &request.artifact_type {
            set_query(&mut url, [("artifactType", artifact_type.as_str())]);
        }
        let mut found = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut empty_pages = 0;
        let mut next = Some(url);
        while let Some(url) = next {
            let wrong = |cause: String| ClientError::new(OPERATION, &url, Failure::Answer(cause));
            if !seen.insert(url.clone()) {
                return Err(wrong("a page that links to an earlier one".to_owned()));
            }
            let call = self.pull(OPERATION, Method::GET, url.clone()).read(MAX_PAGE_BYTES);
            let answer = self.exchange.send(call).await?;
            let before = found.len();
            add_entries(&mut found, &answer.bytes, &url)?;
            empty_pages += usize::from(found.len() == before);
            if empty_pages > MAX_EMPTY_PAGES {
                return Err(wrong(format!("more than {MAX_EMPTY_PAGES} pages with nothing in them")));
            }
            next = next_link(&answer.headers, &answer.url).map_err(wrong)?;
        }
        Ok(found)
    }
}

/// The index that clients keep where the registry has no referrers of its own; without it there are none.
async fn by_tag(repository: &RepositoryClient, subject: &Digest) -> Result<Vec<Map<String, Value>>, ClientError> {
    let reference = fallback_tag(subject);
    let mut found = Vec::new();
    match repository.manifest(&reference).await {
        Ok(index) => {
            let url = repository.endpoint(["manifests", &reference.to_string()]);
            add_entries(&mut found, &index.data, &url)?;
            Ok(found)
        }
        Err(error) if error.is_not_found() => Ok(found),
        Err(error) => Err(error),
    }
}

/// Where the registry did not say that it took a manifest's subject to its referrers, the manifest is listed under the
/// tag that stands in for them. Gives the subject, if there is one.
pub(super) async fn keep_under_tag(
    repository: &RepositoryClient,
    request: &PutManifest,
    digest: &Digest,
) -> Result<Option<Digest>, ClientError> {
    let media_type = request.media_type.clone().or_else(|| stored_media_type(&request.data));
    // What cannot be read as a manifest was taken by the registry all the same; it says nothing of a subject.
    let Ok(manifest) = Manifest::parse(&request.data, media_type.as_deref()) else {
        return Ok(None);
    };
    let Some(subject) = &manifest.subject else {
        return Ok(None);
    };
    let mut listed = by_tag(repository, subject).await?;
    if listed.iter().any(|entry| text(entry, "digest") == Some(&digest.to_string())) {
        return Ok(Some(subject.clone()));
    }
    listed.push(descriptor(&manifest, digest, request.data.len()));
    let index = json!({"schemaVersion": 2, "mediaType": ManifestType::OciIndex.as_str(), "manifests": listed});
    let put = PutManifest {
        reference: fallback_tag(subject),
        tags: Vec::new(),
        media_type: Some(ManifestType::OciIndex.as_str().to_owned()),
        data: Bytes::from(index.to_string()),
        precondition: Precondition::None,
    };
    let url = repository.manifest_url(&put.reference);
    repository.exchange.send(repository.put_call("push referrers", url, &put)?).await?;
    Ok(Some(subject.clone()))
}

fn descriptor(manifest: &Manifest, digest: &Digest, size_bytes: usize) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("mediaType".into(), manifest.manifest_type.as_str().into());
    entry.insert("digest".into(), digest.to_string().into());
    entry.insert("size".into(), size_bytes.into());
    if let Some(artifact_type) = &manifest.artifact_type {
        entry.insert("artifactType".into(), artifact_type.as_str().into());
    }
    if !manifest.annotations.is_empty() {
        entry.insert("annotations".into(), json!(manifest.annotations));
    }
    entry
}

/// `sha256-<hex>`, cut to the length of a tag.
fn fallback_tag(subject: &Digest) -> Reference {
    let text: String = format!("{}-{}", subject.algorithm(), subject.hex()).chars().take(128).collect();
    Reference::Tag(text.parse().expect("an algorithm and hexadecimal digits are a tag"))
}

fn add_entries(found: &mut Vec<Map<String, Value>>, index: &Bytes, url: &Url) -> Result<(), ClientError> {
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Option<Vec<Map<String, Value>>>,
    }
    let wrong = |failure| ClientError::new(OPERATION, url, failure);
    let index: Index =
        serde_json::from_slice(index).map_err(|error| wrong(Failure::Answer(format!("it is no index: {error}"))))?;
    for entry in index.manifests.unwrap_or_default() {
        if text(&entry, "digest").is_none_or(|digest| digest.parse::<Digest>().is_err()) {
            return Err(wrong(Failure::Answer("an entry without a digest".to_owned())));
        }
        if found.len() == MAX_REFERRERS {
            return Err(wrong(Failure::TooLarge { limit_bytes: MAX_PAGE_BYTES }));
        }
        found.push(entry);
    }
    Ok(())
}

fn text<'a>(entry: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    entry.get(key)?.as_str()
}

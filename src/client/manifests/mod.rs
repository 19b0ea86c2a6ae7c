//! Manifests: by tag and by digest, verified.
//!
//! Source: distribution-spec, end-3, end-7a, end-7b and end-9.

mod referrers;

use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use reqwest::Url;

use super::auth::Scopes;
use super::blobs::content_length;
use super::error::{ClientError, Failure};
use super::exchange::{Again, Answer, Call, Payload};
use super::repository::RepositoryClient;
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest, ManifestType, Reference, Tag, stored_media_type};
use crate::services::{ManifestContent, ManifestPut, Precondition, PutManifest};

/// Registries take manifests of 4 MiB and few take larger ones.
const MAX_MANIFEST_BYTES: u64 = 32 << 20;

const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";
const OCI_SUBJECT: &str = "oci-subject";
const OCI_TAG: &str = "oci-tag";

/// What is told of a manifest without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestInfo {
    /// Its digest, as the registry says; nothing was compared.
    pub digest: Digest,
    /// Its media type, without parameters.
    pub media_type: String,
    /// Its size.
    pub size_bytes: u64,
}

impl RepositoryClient {
    /// A manifest, byte for byte. It is of the digest that was asked for, or that the registry names.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when there is none.
    pub async fn manifest(&self, reference: &Reference) -> Result<ManifestContent, ClientError> {
        let operation = "fetch manifest";
        let url = self.manifest_url(reference);
        let call = accepting(self.pull(operation, Method::GET, url.clone())).read(MAX_MANIFEST_BYTES);
        let answer = self.exchange.send(call).await?;
        let digest = verified(operation, &url, reference, &answer)?;
        let data = answer.bytes.clone();
        let media_type = media_type(&answer).or_else(|| stored_media_type(&data)).unwrap_or_default();
        Ok(ManifestContent { digest, media_type, data })
    }

    /// What is told of a manifest; `None` when there is none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn manifest_info(&self, reference: &Reference) -> Result<Option<ManifestInfo>, ClientError> {
        let call = accepting(self.pull("look up manifest", Method::HEAD, self.manifest_url(reference)));
        let answer = match self.exchange.send(call).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let digest = told_digest(&answer).or_else(|| digest_of_reference(reference));
        if let (Some(digest), Some(media_type), Some(size_bytes)) =
            (digest, media_type(&answer), content_length(&answer.headers))
        {
            return Ok(Some(ManifestInfo { digest, media_type, size_bytes }));
        }
        // A registry that does not tell all of it gives the manifest.
        match self.manifest(reference).await {
            Ok(ManifestContent { digest, media_type, data }) => {
                Ok(Some(ManifestInfo { digest, media_type, size_bytes: data.len() as u64 }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores a manifest under a digest, a tag, or both. Tags that the registry does not take beside a digest are
    /// pushed one by one. Where the registry keeps no referrers, those of the manifest's subject are kept under a tag,
    /// as the specification wants it; two that do so at once may lose one.
    ///
    /// A precondition holds with registries that know `If-Match` and `If-None-Match` on a push, as longshore; others
    /// take no notice of it. A push under one is not repeated by itself when it may have been done.
    ///
    /// # Errors
    /// [`ClientError`]; with a 412 when the precondition does not hold.
    pub async fn put_manifest(&self, request: &PutManifest) -> Result<ManifestPut, ClientError> {
        let operation = "push manifest";
        let mut url = self.manifest_url(&request.reference);
        if !request.tags.is_empty() {
            url.query_pairs_mut().extend_pairs(request.tags.iter().map(|tag| ("tag", tag.as_str())));
        }
        let answer = self.exchange.send(self.put_call(operation, url.clone(), request)?).await?;
        let algorithm =
            digest_of_reference(&request.reference).map_or(Algorithm::default(), |digest| digest.algorithm());
        let digest = match told_digest(&answer) {
            Some(told) if told == digest_of(told.algorithm(), &request.data) => told,
            Some(actual) => {
                let expected = digest_of(actual.algorithm(), &request.data);
                return Err(ClientError::new(operation, &url, Failure::DigestMismatch { expected, actual }));
            }
            None => digest_of(algorithm, &request.data),
        };
        let told_subject = answer.header(OCI_SUBJECT).and_then(|subject| subject.parse().ok());
        let tagged = answer.headers.get_all(OCI_TAG).iter().filter_map(|tag| tag.to_str().ok()?.parse().ok());
        let mut tags: Vec<Tag> = tagged.collect();
        if let Reference::Tag(tag) = &request.reference
            && !tags.contains(tag)
        {
            tags.push(tag.clone());
        }
        let missing: Vec<&Tag> = request.tags.iter().filter(|tag| !tags.contains(tag)).collect();
        for tag in missing {
            let single = PutManifest {
                reference: Reference::Tag(tag.clone()),
                tags: Vec::new(),
                precondition: Precondition::None,
                ..request.clone()
            };
            self.exchange.send(self.put_call(operation, self.manifest_url(&single.reference), &single)?).await?;
            tags.push(tag.clone());
        }
        let subject = match told_subject {
            Some(subject) => Some(subject),
            None => referrers::keep_under_tag(self, request, &digest).await?,
        };
        Ok(ManifestPut { digest, subject, tags })
    }

    /// By digest: the manifest. By tag: the tag only, with registries that follow the specification.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when there is none.
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<(), ClientError> {
        self.exchange.send(self.take_away("delete manifest", self.manifest_url(reference))).await?;
        Ok(())
    }

    fn manifest_url(&self, reference: &Reference) -> Url {
        self.endpoint(["manifests", &reference.to_string()])
    }

    fn put_call(&self, operation: &'static str, url: Url, request: &PutManifest) -> Result<Call, ClientError> {
        let unsendable =
            |what: &str| ClientError::new(operation, &url, Failure::Unsupported(format!("{what} that is no text")));
        let media_type = request.media_type.clone().or_else(|| stored_media_type(&request.data));
        let mut call = Call::new(operation, Method::PUT, url.clone(), Scopes::push(&self.name));
        if let Some(media_type) = media_type {
            let value = HeaderValue::from_str(&media_type).map_err(|_| unsendable("a media type"))?;
            call = call.header(CONTENT_TYPE, value);
        }
        let condition = match &request.precondition {
            Precondition::None => None,
            Precondition::Exists => Some((IF_MATCH, "*".to_owned())),
            Precondition::IsNew => Some((IF_NONE_MATCH, "*".to_owned())),
            Precondition::PointsAt(digests) => {
                let tags: Vec<String> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
                // A list of nothing is a condition that does not hold.
                Some((IF_MATCH, if tags.is_empty() { "\"\"".to_owned() } else { tags.join(", ") }))
            }
        };
        if let Some((name, value)) = condition {
            call = call.header(name, HeaderValue::from_str(&value).map_err(|_| unsendable("a condition"))?);
            // Of a second one the registry would say that the condition does not hold, because of the first.
            call = call.again(Again::IfNothingWasDone);
        }
        Ok(call.payload(Payload::Bytes(request.data.clone())))
    }
}

fn accepting(call: Call) -> Call {
    let types = ManifestType::ALL.map(ManifestType::as_str).join(", ");
    // Whatever else it is, its media type is told.
    let value = HeaderValue::from_str(&format!("{types}, */*;q=0.1")).expect("media types can stand in a header");
    call.header(ACCEPT, value)
}

/// The digest of what came, which is the one that was asked for and the one that the registry names.
fn verified(operation: &'static str, url: &Url, reference: &Reference, answer: &Answer) -> Result<Digest, ClientError> {
    let asked = digest_of_reference(reference);
    let expected = asked.iter().cloned().chain(told_digest(answer));
    for expected in expected {
        let actual = digest_of(expected.algorithm(), &answer.bytes);
        if actual != expected {
            return Err(ClientError::new(operation, url, Failure::DigestMismatch { expected, actual }));
        }
    }
    Ok(asked.or_else(|| told_digest(answer)).unwrap_or_else(|| digest_of(Algorithm::default(), &answer.bytes)))
}

fn digest_of_reference(reference: &Reference) -> Option<Digest> {
    match reference {
        Reference::Digest(digest) => Some(digest.clone()),
        Reference::Tag(_) => None,
    }
}

fn digest_of(algorithm: Algorithm, data: &Bytes) -> Digest {
    let mut running = RunningDigest::new(algorithm);
    running.update(data);
    running.finish()
}

fn told_digest(answer: &Answer) -> Option<Digest> {
    answer.header(DOCKER_CONTENT_DIGEST)?.parse().ok()
}

fn media_type(answer: &Answer) -> Option<String> {
    let text = answer.header(CONTENT_TYPE.as_str())?.split(';').next()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;

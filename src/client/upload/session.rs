use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use reqwest::Url;

use super::created;
use crate::client::error::{ClientError, Failure};
use crate::client::exchange::{Again, Answer, Call, Payload, resolve};
use crate::client::ranges::{Held, held_bytes};
use crate::client::repository::RepositoryClient;
use crate::client::transport::ByteStream;
use crate::oci::{Algorithm, Digest, UploadId};

const CHUNK_MIN_LENGTH: &str = "oci-chunk-min-length";
const DOCKER_UPLOAD_UUID: &str = "docker-upload-uuid";
/// An address that is longer is none that a registry gives.
const MAX_LOCATION_BYTES: usize = 16 << 10;

/// One upload at a registry. Its address changes with each answer; clones share it.
///
/// Each call is one request, which is made again only where nothing can have come of it. After a failure ask for
/// [`UploadSession::offset`] and go on there; [`RepositoryClient::push_blob`] does all of it.
#[derive(Clone)]
pub struct UploadSession {
    repository: RepositoryClient,
    id: UploadId,
    /// The least that a chunk must have, but for the last one (`OCI-Chunk-Min-Length`); 0 where nothing is said.
    chunk_min_bytes: u64,
    standing: Arc<Mutex<Standing>>,
}

/// What the last answer said.
struct Standing {
    location: Url,
    /// How many bytes it holds; `None` after a failure.
    offset: Option<u64>,
}

/// A body to append.
pub(in crate::client) struct Appended {
    /// Sent as `Content-Range`, with which the registry takes it there or not at all. Needs a length of one or more.
    pub(in crate::client) exactly_at: Option<u64>,
    pub(in crate::client) payload: Payload,
    pub(in crate::client) length_bytes: Option<u64>,
}

impl RepositoryClient {
    /// Begins an upload of a blob whose digest will be of `algorithm`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn start_upload(&self, algorithm: Algorithm) -> Result<UploadSession, ClientError> {
        let operation = "start upload";
        let mut url = self.endpoint(["blobs", "uploads", ""]);
        if algorithm != Algorithm::default() {
            url.query_pairs_mut().append_pair("digest-algorithm", algorithm.as_str());
        }
        // A second upload that nobody goes on with expires.
        let answer = self.exchange.send(self.push(operation, Method::POST, url.clone())).await?;
        if answer.status != StatusCode::ACCEPTED {
            let wrong = Failure::Answer(format!("status {}, not 202", answer.status.as_u16()));
            return Err(ClientError::new(operation, &url, wrong));
        }
        UploadSession::of_answer(self, operation, &answer)
    }

    /// Finds an upload again by its [`UploadSession::location`]. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Failure::Answer`] when it is no address.
    pub fn open_upload(&self, location: &str) -> Result<UploadSession, ClientError> {
        let root = self.exchange.address.url();
        let resolved = match location.len() <= MAX_LOCATION_BYTES {
            true => resolve(root, location),
            false => Err(format!("location of {} bytes", location.len())),
        };
        let location = resolved.map_err(|cause| ClientError::new("open upload", root, Failure::Answer(cause)))?;
        let id = id_of(&location).unwrap_or_else(UploadId::random);
        Ok(UploadSession::new(self, id, location, None, 0))
    }
}

impl UploadSession {
    fn new(
        repository: &RepositoryClient,
        id: UploadId,
        location: Url,
        offset: Option<u64>,
        chunk_min_bytes: u64,
    ) -> Self {
        let standing = Arc::new(Mutex::new(Standing { location, offset }));
        UploadSession { repository: repository.clone(), id, chunk_min_bytes, standing }
    }

    /// The upload that a 202 speaks of.
    pub(in crate::client) fn of_answer(
        repository: &RepositoryClient,
        operation: &'static str,
        answer: &Answer,
    ) -> Result<Self, ClientError> {
        let wrong = |cause: String| ClientError::new(operation, &answer.url, Failure::Answer(cause));
        let location = location_of(answer).map_err(wrong)?.ok_or_else(|| wrong("there is no location".to_owned()))?;
        let named = answer.header(DOCKER_UPLOAD_UUID).and_then(|text| text.parse().ok());
        let id = id_of(&location).or(named).unwrap_or_else(UploadId::random);
        let chunk_min_bytes = answer.header(CHUNK_MIN_LENGTH).and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Ok(UploadSession::new(repository, id, location, Some(0), chunk_min_bytes))
    }

    /// What finds it again: its address, query and all. It may be all that it takes to write: treat it as a secret.
    pub fn location(&self) -> String {
        self.url().into()
    }

    /// Its id: the UUID that the registry names it by, or else a random one.
    pub fn id(&self) -> UploadId {
        self.id
    }

    /// The least that a chunk must have, but for the last one; 0 where the registry says nothing.
    pub fn chunk_min_bytes(&self) -> u64 {
        self.chunk_min_bytes
    }

    /// Asks how many bytes it holds.
    ///
    /// `Range: 0-0` is said of one byte and of none. Where the address does not tell either, it is taken for none: one
    /// byte too many is found by the digest at the latest.
    ///
    /// # Errors
    /// [`ClientError`]; with a 404 when it is not known.
    pub async fn offset(&self) -> Result<u64, ClientError> {
        Ok(self.held().await?.0)
    }

    /// The same, and whether there is no doubt.
    pub(super) async fn held(&self) -> Result<(u64, bool), ClientError> {
        let operation = "ask for upload";
        let url = self.url();
        let answer = self.repository.exchange.send(self.repository.push(operation, Method::GET, url.clone())).await?;
        self.move_on(operation, &answer)?;
        let (offset, is_sure) = match held_bytes(&answer.headers) {
            Some(Held::Exactly(offset)) => (offset, true),
            Some(Held::NoneOrOne) => match offset_of(&self.url()) {
                Some(offset @ (0 | 1)) => (offset, true),
                _ => (0, false),
            },
            None => {
                let wrong = Failure::Answer("there is no range that could be read".to_owned());
                return Err(ClientError::new(operation, &url, wrong));
            }
        };
        self.standing().offset = Some(offset);
        Ok((offset, is_sure))
    }

    /// Appends a chunk that begins at `offset`, or nothing; gives how many bytes it holds then.
    ///
    /// # Errors
    /// [`ClientError`]; with a 416 when that is not where it stands.
    pub async fn append_chunk(&self, offset: u64, chunk: Bytes) -> Result<u64, ClientError> {
        let length_bytes = Some(chunk.len() as u64);
        let exactly_at = (!chunk.is_empty()).then_some(offset);
        self.append(Appended { exactly_at, payload: Payload::Bytes(chunk), length_bytes }, offset).await
    }

    /// Appends a body where the upload stands, which is at `offset`; gives how many bytes it holds then.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn append_stream(
        &self,
        offset: u64,
        length_bytes: Option<u64>,
        stream: ByteStream,
    ) -> Result<u64, ClientError> {
        let payload = Payload::Stream(Some((length_bytes, stream)));
        self.append(Appended { exactly_at: None, payload, length_bytes }, offset).await
    }

    pub(in crate::client) async fn append(&self, body: Appended, offset: u64) -> Result<u64, ClientError> {
        let operation = "append to upload";
        let (url, length_bytes) = (self.url(), body.length_bytes);
        let mut call = self.body_call(operation, Method::PATCH, url.clone(), body.payload);
        if let (Some(first), Some(length)) = (body.exactly_at, length_bytes) {
            call = call.header(CONTENT_RANGE, content_range(first, length));
        }
        self.standing().offset = None;
        let answer = self.repository.exchange.send(call).await?;
        self.move_on(operation, &answer)?;
        let wrong = |cause: String| Err(ClientError::new(operation, &url, Failure::Answer(cause)));
        let sent_to = length_bytes.map(|length| offset.saturating_add(length));
        let held = match (held_bytes(&answer.headers), sent_to) {
            (Some(Held::Exactly(held)), Some(sent_to)) if held > sent_to => {
                return wrong(format!("upload holds {held} bytes, and only {sent_to} were sent"));
            }
            (Some(Held::Exactly(held)), _) => held,
            // Without a range it says no more than that it took the body.
            (None, Some(sent_to)) => sent_to,
            (Some(Held::NoneOrOne), Some(sent_to)) if sent_to <= 1 => sent_to,
            (Some(Held::NoneOrOne), Some(_)) => 0,
            (None | Some(Held::NoneOrOne), None) => return self.offset().await,
        };
        self.standing().offset = Some(held);
        Ok(held)
    }

    /// Makes the blob `digest` of what it holds. A registry that says that the upload is gone, or nothing, is asked
    /// whether the blob is there: the request may have come to its end all the same.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn commit(&self, digest: &Digest) -> Result<(), ClientError> {
        self.finish(digest, Payload::Empty).await
    }

    /// The same with the last bytes.
    pub(in crate::client) async fn finish(&self, digest: &Digest, payload: Payload) -> Result<(), ClientError> {
        let operation = "finish upload";
        let mut url = self.url();
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let is_empty = matches!(payload, Payload::Empty);
        let mut call = self.body_call(operation, Method::PUT, url, payload);
        if is_empty {
            call = call.again(Again::Always);
        }
        self.standing().offset = None;
        let error = match self.repository.exchange.send(call).await {
            Ok(answer) => return created(operation, &answer, digest),
            Err(error) => error,
        };
        let may_be_done = error.is_not_found() || super::super::exchange::may_have_been_done(&error);
        if may_be_done && let Ok(Some(_)) = self.repository.blob_size(digest).await {
            return Ok(());
        }
        Err(error)
    }

    /// Ends it; the registry keeps nothing of it. One that is not known is no error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel(&self) -> Result<(), ClientError> {
        match self.cancel_known().await {
            Err(error) if error.is_not_found() => Ok(()),
            cancelled => cancelled,
        }
    }

    pub(in crate::client) async fn cancel_known(&self) -> Result<(), ClientError> {
        self.repository.exchange.send(self.repository.take_away("cancel upload", self.url())).await?;
        Ok(())
    }

    /// How many bytes it holds, as far as is known without asking.
    pub(in crate::client) fn known_offset(&self) -> Option<u64> {
        self.standing().offset
    }

    pub(in crate::client) fn repository(&self) -> &RepositoryClient {
        &self.repository
    }

    fn body_call(&self, operation: &'static str, method: Method, url: Url, payload: Payload) -> Call {
        self.repository
            .push(operation, method, url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .payload(payload)
            .again(Again::IfNothingWasDone)
    }

    /// Takes over the address that an answer gives; without one the old one stays.
    fn move_on(&self, operation: &'static str, answer: &Answer) -> Result<(), ClientError> {
        let moved = location_of(answer);
        let moved = moved.map_err(|cause| ClientError::new(operation, &answer.url, Failure::Answer(cause)))?;
        if let Some(location) = moved {
            self.standing().location = location;
        }
        Ok(())
    }

    fn url(&self) -> Url {
        self.standing().location.clone()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn location_of(answer: &Answer) -> Result<Option<Url>, String> {
    let Some(value) = answer.headers.get(LOCATION) else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| "location is no text".to_owned())?;
    if text.len() > MAX_LOCATION_BYTES {
        return Err(format!("location of {} bytes", text.len()));
    }
    resolve(&answer.url, text).map(Some)
}

/// The last part of the path that is one.
fn id_of(location: &Url) -> Option<UploadId> {
    location.path_segments()?.rev().find_map(|segment| segment.parse().ok())
}

/// longshore's addresses tell the offset that they were issued for.
fn offset_of(location: &Url) -> Option<u64> {
    location.query_pairs().find(|(name, _)| name == "offset").and_then(|(_, value)| value.parse().ok())
}

/// Both ends included, without a unit; `length` is at least one.
fn content_range(first: u64, length: u64) -> HeaderValue {
    let last = first.saturating_add(length.saturating_sub(1));
    HeaderValue::from_str(&format!("{first}-{last}")).expect("digits can stand in a header")
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its address may hold secrets.
        f.debug_struct("UploadSession").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;

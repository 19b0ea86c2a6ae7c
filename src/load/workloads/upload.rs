use http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

use super::answers::{Answer, Op, Refused, expect, expect_one_of};
use super::body::Part;
use super::lane::Lane;
use super::uploads::Ticket;
use crate::client::{Access, RawCall, RepositoryClient, Url};
use crate::load::content::Blob;
use crate::load::report::FindingKind;
use crate::oci::ErrorCode;

/// A blob on its way in, and what the registry said of it. A clone is another writer of the same one.
#[derive(Clone)]
pub(super) struct Upload {
    pub(super) repository: RepositoryClient,
    pub(super) blob: Blob,
    pub(super) location: Url,
    /// How many bytes the registry said that it holds.
    pub(super) acknowledged: u64,
    /// It can hold no more than this.
    pub(super) sent: u64,
    /// The registry wants no smaller chunks (`OCI-Chunk-Min-Length`), but the last one.
    pub(super) min_chunk: u64,
    pub(super) ticket: Ticket,
}

/// Which part of the blob a body is, as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// Nothing: it goes where the upload stands.
    Nothing,
    /// `Content-Range`.
    Range,
}

pub(super) const START: Op = Op::new("upload.start");
pub(super) const PATCH: Op = Op::new("upload.patch");
pub(super) const PUT: Op = Op::new("blob.put");
const STATUS: Op = Op::new("upload.status");
const CANCEL: Op = Op::new("upload.cancel");

impl Upload {
    /// Begins one.
    pub(super) async fn start(lane: &mut Lane, repository: &RepositoryClient, blob: &Blob) -> Result<Self, Refused> {
        let url = repository.url(["blobs", "uploads", ""]);
        let call = RawCall::new("start upload", Method::POST, url, Access::Push);
        let answer = lane.call(START, repository, call).await?;
        expect(&answer, StatusCode::ACCEPTED)?;
        Upload::of_answer(lane, repository, blob, &answer)
    }

    /// The one that an answer (a 202) tells of.
    pub(super) fn of_answer(
        lane: &Lane,
        repository: &RepositoryClient,
        blob: &Blob,
        answer: &Answer,
    ) -> Result<Self, Refused> {
        let location = answer.location.clone().ok_or_else(|| Refused::answer("an upload without a location"))?;
        let min_chunk = answer.headers.get("oci-chunk-min-length").and_then(|value| value.to_str().ok()?.parse().ok());
        let ticket = lane.uploads.began(repository, &location);
        Ok(Upload {
            repository: repository.clone(),
            blob: blob.clone(),
            location,
            acknowledged: 0,
            sent: 0,
            min_chunk: min_chunk.unwrap_or(0),
            ticket,
        })
    }

    /// Sends a part; gives how many bytes the registry says that it holds then.
    pub(super) async fn patch(&mut self, lane: &mut Lane, op: Op, part: Part, tells: Tells) -> Result<u64, Refused> {
        let (start, end) = (part.range().start, part.end());
        let call = RawCall::new("write to upload", Method::PATCH, self.location.clone(), Access::Push);
        let call = with_part(call, part, tells, lane);
        let answered = lane.call_of(op, &self.repository, call, self.acknowledged).await;
        let answer = answered.inspect_err(|refused| self.sent = self.sent.max(start + refused.sent_bytes))?;
        self.sent = self.sent.max(end);
        expect_one_of(&answer, &[StatusCode::ACCEPTED, StatusCode::NO_CONTENT])?;
        self.moved(lane, &answer);
        let held = answer.held_bytes.unwrap_or(end);
        if held < end && held >= self.acknowledged {
            let detail = format!("it took bytes {start} to {end}, and holds {held}");
            lane.finding(FindingKind::LostBytes, &self.repository, self.blob.digest(), detail);
        }
        self.told(lane, held)?;
        Ok(held)
    }

    /// Asks how many bytes the registry holds.
    pub(super) async fn status(&mut self, lane: &mut Lane) -> Result<u64, Refused> {
        let answer = self.ask(lane, STATUS).await?;
        expect_one_of(&answer, &[StatusCode::NO_CONTENT, StatusCode::ACCEPTED])?;
        self.moved(lane, &answer);
        let held = answer.held_bytes.ok_or_else(|| Refused::answer("a status without a range"))?;
        self.told(lane, held)?;
        Ok(held)
    }

    /// Asks, and believes nothing yet.
    pub(super) async fn ask(&self, lane: &mut Lane, op: Op) -> Result<Answer, Refused> {
        let call = RawCall::new("ask for offset", Method::GET, self.location.clone(), Access::Push);
        lane.call_of(op, &self.repository, call, self.acknowledged).await
    }

    /// Ends it as its blob, with the last part of it or without one.
    pub(super) async fn commit(&mut self, lane: &mut Lane, last: Option<(Part, Tells)>) -> Result<(), Refused> {
        self.put(lane, PUT, last).await?;
        lane.uploads.ended(self.ticket);
        Ok(())
    }

    /// Sends the PUT that ends it, and counts it as open all the same.
    pub(super) async fn put(&mut self, lane: &mut Lane, op: Op, last: Option<(Part, Tells)>) -> Result<(), Refused> {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", &self.blob.digest().to_string());
        let mut call = RawCall::new("end upload", Method::PUT, url, Access::Push);
        if let Some((part, tells)) = last {
            call = with_part(call, part, tells, lane);
        }
        let answer = match lane.call(op, &self.repository, call).await {
            Ok(answer) => answer,
            Err(refused) => {
                self.refused_commit(lane, &refused);
                return Err(refused);
            }
        };
        expect(&answer, StatusCode::CREATED)
    }

    /// Ends it and throws away what was sent.
    pub(super) async fn cancel(&mut self, lane: &mut Lane) -> Result<(), Refused> {
        let call = RawCall::new("cancel upload", Method::DELETE, self.location.clone(), Access::Push);
        lane.call(CANCEL, &self.repository, call).await?;
        lane.uploads.ended(self.ticket);
        Ok(())
    }

    /// Checks what the registry says that it holds: no less than it said before, no more than was sent.
    pub(super) fn told(&mut self, lane: &Lane, held: u64) -> Result<(), Refused> {
        let before = std::mem::replace(&mut self.acknowledged, held);
        if held < before {
            let detail = format!("it held {before} bytes, and now {held}");
            lane.finding(FindingKind::LostBytes, &self.repository, self.blob.digest(), detail);
        }
        if held > self.sent {
            let detail = format!("it holds {held} bytes, but only {} were sent", self.sent);
            lane.finding(FindingKind::WrongOffset, &self.repository, self.blob.digest(), &detail);
            return Err(Refused::answer(detail).found());
        }
        Ok(())
    }

    fn moved(&mut self, lane: &Lane, answer: &Answer) {
        if let Some(location) = &answer.location {
            self.location = location.clone();
            lane.uploads.moved(self.ticket, location);
        }
    }

    /// All bytes were acknowledged, and yet they are said to be others: then they were not kept.
    fn refused_commit(&self, lane: &Lane, refused: &Refused) {
        let code = refused.error.as_ref().and_then(|error| error.code());
        if code == Some(ErrorCode::DigestInvalid) && self.acknowledged == self.blob.size() && self.acknowledged > 0 {
            let detail = format!("it held all {} bytes, and says that their digest is another one", self.acknowledged);
            lane.finding(FindingKind::LostBytes, &self.repository, self.blob.digest(), detail);
        }
    }
}

pub(super) fn with_part(call: RawCall, part: Part, tells: Tells, lane: &Lane) -> RawCall {
    let range = part.range();
    let mut call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if tells == Tells::Range && range.start < range.end {
        let text = format!("{}-{}", range.start, range.end - 1);
        if let Ok(value) = HeaderValue::from_str(&text) {
            call = call.header(CONTENT_RANGE, value);
        }
    }
    call.body(part.body(&lane.recorder))
}

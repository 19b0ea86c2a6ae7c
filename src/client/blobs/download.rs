//! The bytes of a blob, verified, and gone on with when the connection breaks.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, stream};
use http::header::{HeaderValue, RANGE};
use http::{Method, StatusCode};
use reqwest::Url;

use super::content_length;
use crate::client::error::{ClientError, Failure};
use crate::client::exchange::Answer;
use crate::client::ranges;
use crate::client::repository::RepositoryClient;
use crate::client::retry::Backoff;
use crate::client::transport::{ByteStream, TransportError, TransportErrorKind};
use crate::hashing::RunningDigest;
use crate::oci::Digest;

const OPERATION: &str = "fetch blob";

/// A blob on its way.
pub struct BlobDownload {
    /// The size of the whole blob.
    pub size_bytes: u64,
    /// The part that is streamed.
    pub range: Range<u64>,
    /// The bytes, in bounded pieces. When the whole blob came and is not that of the digest, the last item is an error.
    pub stream: BoxStream<'static, Result<Bytes, ClientError>>,
}

/// What is still to come.
struct Rest {
    repository: RepositoryClient,
    digest: Digest,
    url: Url,
    /// Which bytes of the blob.
    range: Range<u64>,
    size_bytes: u64,
    /// Of all that came; with a part of a blob there is nothing to compare it with.
    running: Option<RunningDigest>,
    /// The body that is being read, and how much of it stands before what is wanted.
    body: Option<(ByteStream, u64)>,
    backoff: Backoff,
}

pub(super) async fn start(
    repository: &RepositoryClient,
    digest: &Digest,
    range: Option<Range<u64>>,
) -> Result<BlobDownload, ClientError> {
    let url = repository.endpoint(["blobs", &digest.to_string()]);
    let size = || async { known_size(repository, &url).await };
    if let Some(range) = &range
        && range.is_empty()
    {
        return Ok(nothing(size().await?, range.start));
    }
    let answer = match ask(repository, &url, range.clone()).await {
        Ok(answer) => answer,
        Err(error) if error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
            let told = error.refusal().and_then(|refusal| refusal.size_bytes);
            let size_bytes = match told {
                Some(size_bytes) => size_bytes,
                None => size().await?,
            };
            return match &range {
                Some(range) if range.start >= size_bytes => Ok(nothing(size_bytes, range.start)),
                _ => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let first = range.as_ref().map_or(0, |range| range.start);
    let (skipped, told) = placed(&answer, first).map_err(|cause| wrong(&url, cause))?;
    let size_bytes = match told {
        Some(size_bytes) => size_bytes,
        None => size().await?,
    };
    let range = range.map_or(0..size_bytes, |range| range.start.min(size_bytes)..range.end.min(size_bytes));
    let is_whole = range == (0..size_bytes);
    let pace = &*repository.exchange.wire.pace;
    let rest = Rest {
        repository: repository.clone(),
        digest: digest.clone(),
        url,
        range: range.clone(),
        size_bytes,
        running: is_whole.then(|| RunningDigest::new(digest.algorithm())),
        body: answer.stream.map(|stream| (stream, skipped)),
        backoff: Backoff::start(&repository.exchange.wire.retries, pace),
    };
    let stream = stream::unfold(Some(rest), |rest| async move {
        let mut rest = rest?;
        match rest.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(rest))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(BlobDownload { size_bytes, range, stream: stream.boxed() })
}

impl Rest {
    /// The next piece; `None` when all came and is right.
    async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        loop {
            if self.range.is_empty() {
                return self.end().await;
            }
            match self.read().await {
                Ok(Some(piece)) => return Ok(Some(piece)),
                Ok(None) => {}
                Err(error) => self.go_on_after(error).await?,
            }
        }
    }

    /// A piece of the open body; `None` when it was none of what is wanted.
    async fn read(&mut self) -> Result<Option<Bytes>, TransportError> {
        let ended = || TransportError::new(TransportErrorKind::Reset, "body ended before its length");
        let Some((body, skipped)) = &mut self.body else {
            return Err(ended());
        };
        let mut piece = body.next().await.ok_or_else(ended)?.map_err(TransportError::of_io)?;
        let before = (*skipped).min(piece.len() as u64);
        *skipped -= before;
        let _ = piece.split_to(before as usize);
        // What comes behind the end is of a registry that ignores ranges.
        piece.truncate((self.range.end - self.range.start).min(piece.len() as u64) as usize);
        if piece.is_empty() {
            return Ok(None);
        }
        self.range.start += piece.len() as u64;
        if let Some(running) = &mut self.running {
            running.update(&piece);
        }
        self.backoff.reset(&*self.repository.exchange.wire.pace);
        Ok(Some(piece))
    }

    /// Asks for what is still to come.
    async fn go_on_after(&mut self, error: TransportError) -> Result<(), ClientError> {
        self.body = None;
        let pace = self.repository.exchange.wire.pace.clone();
        if !self.backoff.wait(None, &*pace).await {
            return Err(ClientError::new(OPERATION, &self.url, Failure::Transport(error)));
        }
        log::debug!(offset = self.range.start, error:% = error; "a fetch of a blob goes on where it broke");
        let answer = ask(&self.repository, &self.url, Some(self.range.clone())).await?;
        let (skipped, told) = placed(&answer, self.range.start).map_err(|cause| wrong(&self.url, cause))?;
        if told.is_some_and(|told| told != self.size_bytes) {
            return Err(wrong(&self.url, "the blob has another size than before".to_owned()));
        }
        self.body = answer.stream.map(|stream| (stream, skipped));
        Ok(())
    }

    /// Nothing more is wanted: nothing more may be there, and what came is compared.
    async fn end(&mut self) -> Result<Option<Bytes>, ClientError> {
        let Some(running) = &self.running else {
            return Ok(None);
        };
        // The body's end lets the connection be used again, too. One that breaks here took nothing with it.
        if let Some((body, _)) = &mut self.body
            && let Some(Ok(piece)) = body.next().await
            && !piece.is_empty()
        {
            return Err(wrong(&self.url, format!("the blob is longer than its {} bytes", self.size_bytes)));
        }
        let actual = running.finish();
        if actual != self.digest {
            let failure = Failure::DigestMismatch { expected: self.digest.clone(), actual };
            return Err(ClientError::new(OPERATION, &self.url, failure));
        }
        Ok(None)
    }
}

async fn ask(repository: &RepositoryClient, url: &Url, range: Option<Range<u64>>) -> Result<Answer, ClientError> {
    let mut call = repository.pull(OPERATION, Method::GET, url.clone()).stream();
    if let Some(range) = range {
        let text = match range.end {
            u64::MAX => format!("bytes={}-", range.start),
            end => format!("bytes={}-{}", range.start, end - 1),
        };
        call = call.header(RANGE, HeaderValue::from_str(&text).expect("digits can stand in a header"));
    }
    repository.exchange.send(call).await
}

/// How many bytes of the body stand before the `first` that was asked for, and the size of the whole where it is told.
fn placed(answer: &Answer, first: u64) -> Result<(u64, Option<u64>), String> {
    if answer.status != StatusCode::PARTIAL_CONTENT {
        return Ok((first, content_length(&answer.headers)));
    }
    let (range, size_bytes) =
        ranges::content_range(&answer.headers).ok_or("a 206 whose content-range cannot be read")?;
    if range.start != first {
        return Err(format!("a part from byte {}, not from {first}", range.start));
    }
    Ok((0, size_bytes))
}

/// By a HEAD, whose 404 is told as any other.
async fn known_size(repository: &RepositoryClient, url: &Url) -> Result<u64, ClientError> {
    let answer = repository.exchange.send(repository.pull(OPERATION, Method::HEAD, url.clone())).await?;
    content_length(&answer.headers).ok_or_else(|| wrong(url, "there is no content-length".to_owned()))
}

fn nothing(size_bytes: u64, at: u64) -> BlobDownload {
    let at = at.min(size_bytes);
    BlobDownload { size_bytes, range: at..at, stream: stream::empty().boxed() }
}

fn wrong(url: &Url, cause: String) -> ClientError {
    ClientError::new(OPERATION, url, Failure::Answer(cause))
}

impl fmt::Debug for BlobDownload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobDownload")
            .field("size_bytes", &self.size_bytes)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

//! A push that goes on by itself after any failure that passes.

use std::fmt;
use std::sync::Arc;

use super::progress::{OnProgress, Report};
use super::sent::{OnSent, SourceFault, stretch};
use super::session::{Appended, UploadSession};
use super::source::BlobSource;
use crate::client::error::{ClientError, Failure};
use crate::client::exchange::Payload;
use crate::client::repository::RepositoryClient;
use crate::client::retry::Backoff;
use crate::oci::Digest;

/// How a blob is pushed.
#[derive(Clone, Default)]
pub struct PushOptions {
    /// By which requests.
    pub mode: PushMode,
    /// Goes on with this upload ([`UploadSession::location`]) if the registry still has it, else begins anew. Not with
    /// [`PushMode::SinglePost`].
    pub resume: Option<String>,
    /// Called with each progress.
    pub progress: Option<OnProgress>,
}

/// By which requests a blob is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushMode {
    /// POST, then PUT with all bytes.
    Monolithic,
    /// POST with all bytes. What breaks off begins from the start.
    SinglePost,
    /// POST, PATCH with all bytes, PUT.
    #[default]
    Streamed,
    /// POST, PATCH with a `Content-Range` for each chunk, PUT.
    Chunked {
        /// How large a chunk is; a registry that wants larger ones gets them. `None`: as the client is set.
        bytes: Option<u64>,
    },
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushedBlob {
    /// The blob's size.
    pub size_bytes: u64,
    /// How often it had to go on, or begin anew, after a failure.
    pub resumes: u32,
    /// Bytes that connections took, also those that were sent again.
    pub sent_bytes: u64,
}

impl RepositoryClient {
    /// Pushes a blob. What fails in passing (a broken connection, 408, 429, 5xx) is gone on with: the registry is asked
    /// what it has, and the rest is sent.
    ///
    /// A push that fails for good ends its upload, unless the same upload may do later: after a failure that passes, or
    /// of the source. Dropping the call leaves the upload for [`PushOptions::resume`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn push_blob(
        &self,
        source: &dyn BlobSource,
        digest: &Digest,
        options: &PushOptions,
    ) -> Result<PushedBlob, ClientError> {
        let pace = &*self.exchange.wire.pace;
        let push = Push {
            repository: self,
            source,
            digest,
            mode: options.mode,
            size_bytes: source.size_bytes(),
            report: Arc::new(Report::new(options.progress.clone())),
            backoff: Backoff::start(&self.exchange.wire.retries, pace),
            resumes: 0,
            furthest: 0,
        };
        match options.mode {
            PushMode::SinglePost => push.by_single_post().await,
            _ => push.by_upload(options.resume.as_deref()).await,
        }
    }
}

/// A push under way.
pub(super) struct Push<'a> {
    pub(super) repository: &'a RepositoryClient,
    pub(super) source: &'a dyn BlobSource,
    pub(super) digest: &'a Digest,
    pub(super) size_bytes: u64,
    pub(super) report: Arc<Report>,
    pub(super) backoff: Backoff,
    pub(super) resumes: u32,
    /// How much the registry ever had: what gets no further is no progress.
    furthest: u64,
    mode: PushMode,
}

/// What one request came to.
enum Step {
    /// The registry holds so many bytes.
    Holds(u64),
    Done,
}

impl Push<'_> {
    async fn by_upload(mut self, resume: Option<&str>) -> Result<PushedBlob, ClientError> {
        let (mut session, mut offset) = self.first_upload(resume).await?;
        loop {
            self.report.stands(&session, offset);
            let error = match self.step(&session, offset).await {
                Ok(Step::Done) => {
                    self.report.acknowledged(self.size_bytes);
                    return Ok(self.done());
                }
                Ok(Step::Holds(held)) if held > offset => {
                    self.progressed_to(held);
                    offset = held;
                    continue;
                }
                Ok(Step::Holds(held)) => {
                    let failure =
                        Failure::Answer(format!("upload holds {held} bytes after more were sent from {offset}"));
                    let error = ClientError::new("push blob", self.repository.exchange.address.url(), failure);
                    (session, offset) = self.go_on_after(error, session).await?;
                    continue;
                }
                Err(error) => error,
            };
            if !may_be_gone_on_with(&error) {
                if is_final(&error) {
                    // There is nothing to be made of it. If this fails, too, the upload expires.
                    let _ = session.cancel().await;
                }
                return Err(error);
            }
            (session, offset) = self.go_on_after(error, session).await?;
        }
    }

    async fn first_upload(&mut self, resume: Option<&str>) -> Result<(UploadSession, u64), ClientError> {
        if let Some(location) = resume
            && let Ok(session) = self.repository.open_upload(location)
        {
            match session.held().await {
                Ok((held, true)) if held <= self.size_bytes => {
                    self.report.resumed(held);
                    return Ok((session, held));
                }
                // What is longer is of something else; one byte or none is no loss.
                Ok(_) => drop(session.cancel().await),
                Err(error) if error.is_not_found() => {}
                Err(error) if error.is_passing() => return Err(error),
                // Another registry's, or one that it cannot read any more.
                Err(error) => log::debug!(error:% = error; "an upload cannot be gone on with, another one is begun"),
            }
        }
        Ok((self.start().await?, 0))
    }

    async fn start(&self) -> Result<UploadSession, ClientError> {
        self.repository.start_upload(self.digest.algorithm()).await
    }

    /// The next request.
    async fn step(&self, session: &UploadSession, offset: u64) -> Result<Step, ClientError> {
        let left = self.size_bytes - offset;
        if left == 0 {
            session.commit(self.digest).await?;
            return Ok(Step::Done);
        }
        let (length, exactly_at) = match self.mode {
            PushMode::Chunked { bytes } => {
                let bytes = bytes.unwrap_or(self.repository.exchange.chunk_bytes).max(session.chunk_min_bytes());
                (bytes.clamp(1, left), Some(offset))
            }
            _ => (left, None),
        };
        let on_sent: OnSent = {
            let report = self.report.clone();
            Arc::new(move |bytes| report.sent(bytes))
        };
        let (stream, fault) = stretch(self.source, offset, length, on_sent);
        let payload = Payload::Stream(Some((Some(length), stream)));
        let stepped = match self.mode {
            PushMode::Monolithic => session.finish(self.digest, payload).await.map(|()| Step::Done),
            _ => {
                let body = Appended { exactly_at, payload, length_bytes: Some(length) };
                session.append(body, offset).await.map(Step::Holds)
            }
        };
        stepped.map_err(|error| self.blamed(error, &fault))
    }

    /// A source that could not be read is the cause of what the connection made of it.
    pub(super) fn blamed(&self, error: ClientError, fault: &SourceFault) -> ClientError {
        match fault.take() {
            Some(cause) => {
                ClientError::new("push blob", self.repository.exchange.address.url(), Failure::Source(cause))
            }
            None => error,
        }
    }

    /// Waits, and finds out where to go on, or fails by the cause that there was.
    async fn go_on_after(
        &mut self,
        error: ClientError,
        session: UploadSession,
    ) -> Result<(UploadSession, u64), ClientError> {
        let mut retry_after = error.retry_after();
        loop {
            if !self.backoff.wait(retry_after, &*self.repository.exchange.wire.pace).await {
                return Err(error);
            }
            match session.held().await {
                Ok((held, is_sure)) if held <= self.size_bytes && (is_sure || held == self.size_bytes) => {
                    self.progressed_to(held);
                    log::debug!(offset = held, error:% = error; "a push goes on after a failure");
                    self.resumed(held);
                    return Ok((session, held));
                }
                Ok(_) => {
                    let _ = session.cancel().await;
                }
                Err(asked) if asked.is_not_found() => {}
                Err(asked) if asked.is_passing() => {
                    retry_after = asked.retry_after();
                    continue;
                }
                Err(_) => return Err(error),
            }
            log::debug!(error:% = error; "a push begins anew after a failure");
            let session = self.start().await?;
            self.resumed(0);
            return Ok((session, 0));
        }
    }

    fn progressed_to(&mut self, held: u64) {
        if held > self.furthest {
            self.furthest = held;
            self.backoff.reset(&*self.repository.exchange.wire.pace);
        }
    }

    pub(super) fn resumed(&mut self, offset: u64) {
        self.resumes += 1;
        self.report.resumed(offset);
    }

    pub(super) fn done(&self) -> PushedBlob {
        PushedBlob { size_bytes: self.size_bytes, resumes: self.resumes, sent_bytes: self.report.sent_bytes() }
    }
}

/// Whether asking for the offset, or another upload, may help.
fn may_be_gone_on_with(error: &ClientError) -> bool {
    use http::StatusCode;

    match error.failure() {
        Failure::Refused(refusal) => {
            error.is_passing()
                || matches!(
                    refusal.status,
                    // The token ran out while the body was sent; the upload is gone; somebody else writes to it; it
                    // does not stand where it was thought to.
                    StatusCode::UNAUTHORIZED
                        | StatusCode::NOT_FOUND
                        | StatusCode::CONFLICT
                        | StatusCode::RANGE_NOT_SATISFIABLE
                )
        }
        _ => error.is_passing(),
    }
}

/// Whether the registry, or what it said, rules out that the upload comes to anything.
fn is_final(error: &ClientError) -> bool {
    match error.failure() {
        Failure::Refused(_) => !error.is_passing(),
        Failure::Answer(_) | Failure::DigestMismatch { .. } => true,
        _ => false,
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushOptions")
            .field("mode", &self.mode)
            .field("resumes", &self.resume.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;

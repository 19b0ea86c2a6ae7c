//! A push by one POST. What breaks off leaves nothing, so it is sent again from the start.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};

use super::created;
use super::push::{Push, PushedBlob};
use super::sent::{OnSent, stretch};
use super::session::UploadSession;
use crate::client::error::ClientError;
use crate::client::exchange::{Again, Payload};

impl Push<'_> {
    pub(super) async fn by_single_post(mut self) -> Result<PushedBlob, ClientError> {
        loop {
            let error = match self.post().await {
                Ok(()) => {
                    self.report.acknowledged(self.size_bytes);
                    return Ok(self.done());
                }
                Err(error) => error,
            };
            let may_help = error.is_passing() || error.status() == Some(StatusCode::UNAUTHORIZED);
            if !may_help || !self.backoff.wait(error.retry_after(), &*self.repository.exchange.wire.pace).await {
                return Err(error);
            }
            // Its answer may have been lost.
            if let Ok(Some(size_bytes)) = self.repository.blob_size(self.digest).await
                && size_bytes == self.size_bytes
            {
                return Ok(self.done());
            }
            self.resumed(0);
        }
    }

    async fn post(&self) -> Result<(), ClientError> {
        let operation = "push blob";
        let mut url = self.repository.endpoint(["blobs", "uploads", ""]);
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let report = self.report.clone();
        let on_sent: OnSent = Arc::new(move |bytes| report.sent(bytes));
        let (stream, fault) = stretch(self.source, 0, self.size_bytes, on_sent);
        let payload = match self.size_bytes {
            0 => Payload::Empty,
            length => Payload::Stream(Some((Some(length), stream))),
        };
        let call = self.repository.push(operation, Method::POST, url);
        let call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let posted = self.repository.exchange.send(call.payload(payload).again(Again::IfNothingWasDone)).await;
        let answer = posted.map_err(|error| self.blamed(error, &fault))?;
        if answer.status != StatusCode::ACCEPTED {
            return created(operation, &answer, self.digest);
        }
        // The registry does not take it in one request, and began an upload.
        let session = UploadSession::of_answer(self.repository, operation, &answer)?;
        let report = self.report.clone();
        let (stream, fault) = stretch(self.source, 0, self.size_bytes, Arc::new(move |bytes| report.sent(bytes)));
        let payload = match self.size_bytes {
            0 => Payload::Empty,
            length => Payload::Stream(Some((Some(length), stream))),
        };
        session.finish(self.digest, payload).await.map_err(|error| self.blamed(error, &fault))
    }
}

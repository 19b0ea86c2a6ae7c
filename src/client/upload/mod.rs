//! Uploads: the requests of one, and pushes that go on by themselves.
//!
//! Source: distribution-spec, "Pushing Blobs".

mod progress;
mod push;
mod sent;
mod session;
mod single;
mod source;
mod writer;

pub use self::progress::{OnProgress, PushProgress};
pub use self::push::{PushMode, PushOptions, PushedBlob};
pub use self::session::UploadSession;
pub use self::source::{BlobSource, FileSource};
pub(super) use self::writer::{HttpUploadWriter, WriterOptions};

use super::error::{ClientError, Failure};
use super::exchange::Answer;
use crate::oci::Digest;

const DOCKER_CONTENT_DIGEST: &str = "docker-content-digest";

/// The answer says that the blob is there: a 201, and of this digest if it names one of the same algorithm.
pub(super) fn created(operation: &'static str, answer: &Answer, digest: &Digest) -> Result<(), ClientError> {
    let wrong = |cause: String| ClientError::new(operation, &answer.url, Failure::Answer(cause));
    if answer.status != http::StatusCode::CREATED {
        return Err(wrong(format!("status {}, not 201", answer.status.as_u16())));
    }
    let told: Option<Digest> = answer.header(DOCKER_CONTENT_DIGEST).and_then(|text| text.parse().ok());
    match told {
        Some(actual) if actual.algorithm() == digest.algorithm() && actual != *digest => {
            let failure = Failure::DigestMismatch { expected: digest.clone(), actual };
            Err(ClientError::new(operation, &answer.url, failure))
        }
        _ => Ok(()),
    }
}

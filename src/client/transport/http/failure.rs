//! What a failure of the HTTP library is.

use std::error::Error;
use std::fmt;
use std::io;

use futures_util::{Stream, TryStreamExt};

use super::super::{ByteStream, TransportError, TransportErrorKind};

/// Marks an error of the request's own body, to tell it from one of the connection.
#[derive(Debug)]
struct OwnBody(io::Error);

pub(super) fn marked(
    stream: ByteStream,
) -> impl Stream<Item = Result<bytes::Bytes, Box<dyn Error + Send + Sync>>> + Send {
    stream.map_err(|error| OwnBody(error).into())
}

pub(super) fn of(error: reqwest::Error) -> TransportError {
    // What stands around the cause repeats the URL, and its query with it.
    let error = error.without_url();
    let (kind, message) = (kind_of(&error), innermost(&error));
    let described = TransportError::new(kind, message);
    match error.is_connect() || error.is_builder() {
        true => described.never_sent().with_source(error),
        false => described.with_source(error),
    }
}

fn kind_of(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_timeout() {
        return TransportErrorKind::Timeout;
    }
    if error.is_connect() || error.is_builder() {
        // A server whose certificate is wrong is found so again.
        return if is_tls(error) { TransportErrorKind::Protocol } else { TransportErrorKind::Connect };
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<OwnBody>() {
            return TransportErrorKind::Body;
        }
        if let Some(hyper) = current.downcast_ref::<hyper::Error>()
            && hyper.is_parse()
        {
            return TransportErrorKind::Protocol;
        }
        if let Some(io) = current.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::TimedOut
        {
            return TransportErrorKind::Timeout;
        }
        cause = current.source();
    }
    TransportErrorKind::Reset
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if current.is::<rustls::Error>() {
            return true;
        }
        // The source of an io::Error is that of the error within it, which itself would be passed by.
        let within = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match within {
            Some(within) => Some(within),
            None => current.source(),
        };
    }
    false
}

/// The cause of all.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        _ => innermost.to_string(),
    }
}

impl fmt::Display for OwnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "body of the request failed: {}", self.0)
    }
}

impl Error for OwnBody {}

//! What a failure on the wire is.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::cut::{Cut, CutKind};
use super::marks::Marks;
use crate::client::transport::{TransportError, TransportErrorKind};

/// The failure of a connection that nobody cut.
pub(super) fn of(error: &hyper::Error, marks: &Marks) -> TransportError {
    let (never_sent, write_failed) = {
        let noted = marks.lock();
        (noted.last_sent.is_none(), noted.write_failed)
    };
    let cause = innermost(error);
    let described = match error.is_parse() {
        true => TransportError::new(TransportErrorKind::Protocol, format!("answer is no HTTP: {cause}")),
        false if write_failed => reset("server closed the connection before it had the body, without an answer"),
        false if error.is_incomplete_message() => reset("server closed the connection before its answer was whole"),
        false if error.is_canceled() => reset("server closed the connection before the request was sent"),
        false => reset(&cause),
    };
    match never_sent {
        true => described.never_sent(),
        false => described,
    }
}

/// The connection ended, and the answer with it.
pub(super) fn ended() -> TransportError {
    reset("server closed the connection before its answer was whole")
}

pub(super) fn silent(longest: Duration) -> TransportError {
    TransportError::new(TransportErrorKind::Timeout, format!("server was silent for {}s", longest.as_secs_f32()))
}

pub(super) fn cut(kind: CutKind) -> TransportError {
    TransportError::new(TransportErrorKind::Body, Cut(kind).to_string()).with_source(Cut(kind))
}

pub(super) fn body(cause: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Body, format!("body of the request failed: {cause}"))
}

fn reset(message: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Reset, message)
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset) => "connection was reset".to_owned(),
        _ => innermost.to_string(),
    }
}

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

/// The moments of one request, as its connection saw them.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// How long it took to open the connection; `None` where one was used again.
    pub connect: Option<Duration>,
    /// When it was asked for, before a connection was looked for.
    pub began: Instant,
    /// When its last byte left for the server.
    pub last_sent: Option<Instant>,
    /// When the answer's first byte came.
    pub first_byte: Option<Instant>,
    /// When the answer had come whole, or it was given up; `None` while it is under way.
    pub ended: Option<Instant>,
    /// Bytes of its body that were handed to the connection, the framing not counted. A server can have no more.
    pub sent_bytes: u64,
    /// Bytes of the answer's body.
    pub received_bytes: u64,
    /// The answer's status; `None` where there was none.
    pub status: Option<StatusCode>,
}

impl Exchange {
    pub(super) fn begin() -> Self {
        Exchange {
            connect: None,
            began: Instant::now(),
            last_sent: None,
            first_byte: None,
            ended: None,
            sent_bytes: 0,
            received_bytes: 0,
            status: None,
        }
    }
}

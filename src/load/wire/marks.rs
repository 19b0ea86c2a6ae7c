use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::cut::CutKind;

/// What is noted of the request that a connection is busy with: written by its socket and its body, read by who waits
/// for the answer. All of it happens in one task, so the lock is never waited for.
#[derive(Clone, Debug)]
pub(super) struct Marks(Arc<Mutex<Noted>>);

/// See [`Marks`].
#[derive(Debug)]
pub(super) struct Noted {
    /// When the last byte left for the server.
    pub last_sent: Option<Instant>,
    /// When the first byte of the answer came.
    pub first_byte: Option<Instant>,
    /// When anything last happened that the server had a part in.
    pub last_progress: Instant,
    /// Bytes of the body that were handed to the connection.
    pub body_bytes: u64,
    /// How the body stands.
    pub body: BodyState,
    /// The socket takes no more bytes; what it still has to say is read.
    pub write_failed: bool,
}

/// How a request's body stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyState {
    /// It has more.
    Sending,
    /// It has more, but not now: the server cannot be blamed for silence.
    Waiting,
    /// All of it was handed over.
    Whole,
    /// It is to be cut as soon as what was handed over has left.
    CutAsked(CutKind),
    /// It was cut, all before it has left.
    Cut(CutKind),
    /// It failed by itself.
    Failed(String),
}

impl Marks {
    pub(super) fn new() -> Self {
        Marks(Arc::new(Mutex::new(Noted::new())))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new request begins.
    pub(super) fn begin(&self) {
        *self.lock() = Noted::new();
    }
}

impl Noted {
    fn new() -> Self {
        Noted {
            last_sent: None,
            first_byte: None,
            last_progress: Instant::now(),
            body_bytes: 0,
            body: BodyState::Sending,
            write_failed: false,
        }
    }
}

//! What the handlers and the socket of one connection tell each other.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::activity::{Activity, ActivityGuard};
use super::direct::{DirectSend, DirectSlot};
use super::inlet::Inlet;

/// What the handlers and the socket of one connection tell each other; all on one thread.
pub(super) struct ConnectionState {
    pub(super) is_tls: bool,
    pub(super) is_http2: bool,
    activity: Arc<Activity>,
    running: Cell<usize>,
    /// When the last request ended, or the connection began.
    idle_since: Cell<Instant>,
    answered_any: Cell<bool>,
    /// An answer came before the end of its body: read no more, close after it.
    early_answer: Cell<bool>,
    /// The answer that closes was given: what follows on the connection is no request.
    last_answer: Cell<bool>,
    /// Pieces of answers that were handed over and not taken yet, one of an answer at most.
    offered: Cell<usize>,
    /// When such a piece was last handed over or taken.
    moved_at: Cell<Instant>,
    inlet: Inlet,
    direct: DirectSend,
}

impl ConnectionState {
    pub(super) fn new(is_tls: bool, is_http2: bool, inlet: Inlet, activity: Arc<Activity>, direct: DirectSend) -> Self {
        ConnectionState {
            is_tls,
            is_http2,
            activity,
            running: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            answered_any: Cell::new(false),
            early_answer: Cell::new(false),
            last_answer: Cell::new(false),
            offered: Cell::new(0),
            moved_at: Cell::new(Instant::now()),
            inlet,
            direct,
        }
    }

    /// What comes in.
    pub(super) fn inlet(&self) -> &Inlet {
        &self.inlet
    }

    /// What goes past actix-http.
    pub(super) fn direct(&self) -> &DirectSend {
        &self.direct
    }

    /// The right to send content past actix-http, where that can be: HTTP/1.1 in clear text, and not too many do.
    pub(super) fn direct_slot(&self) -> Option<DirectSlot> {
        if self.is_tls || self.is_http2 { None } else { self.direct.slot() }
    }

    pub(super) fn request_begins(&self) -> ActivityGuard {
        self.running.set(self.running.get() + 1);
        self.activity.begin()
    }

    pub(super) fn request_ends(&self) {
        self.running.set(self.running.get().saturating_sub(1));
        self.idle_since.set(Instant::now());
        self.answered_any.set(true);
        if self.running.get() == 0 {
            self.inlet.request_over();
        }
    }

    /// How many requests are running (more than one with HTTP/2 only).
    pub(super) fn running(&self) -> usize {
        self.running.get()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.activity.is_stopping()
    }

    /// The answer that is given now is the connection's last. actix-http would go on with what it has
    /// read already. (An HTTP/2 connection has no such answer.)
    pub(super) fn answers_last(&self) {
        self.last_answer.set(!self.is_http2);
    }

    pub(super) fn has_answered_last(&self) -> bool {
        self.last_answer.get()
    }

    /// A piece of an answer was handed over.
    pub(super) fn offer(&self) {
        self.offered.set(self.offered.get() + 1);
        self.moved_at.set(Instant::now());
    }

    /// It was taken, or is of no interest any more.
    pub(super) fn taken(&self) {
        self.offered.set(self.offered.get().saturating_sub(1));
        self.moved_at.set(Instant::now());
    }

    /// Whether nothing is running but answers of which the client takes nothing. Its HTTP/2 windows can
    /// be closed for ever without a write that waits.
    pub(super) fn is_stalled(&self, allowed: Duration) -> bool {
        self.is_http2
            && self.running() > 0
            && self.offered.get() == self.running()
            && self.moved_at.get() + allowed <= Instant::now()
    }

    /// No further byte of this connection is wanted. (With HTTP/2 the stream is reset instead.)
    pub(super) fn answer_early(&self) {
        if !self.is_http2 {
            self.early_answer.set(true);
        }
    }

    /// Whether an answer came before the end of its body.
    pub(super) fn has_answered_early(&self) -> bool {
        self.early_answer.get()
    }

    /// Something that a stop waits for.
    pub(super) fn begin_activity(&self) -> ActivityGuard {
        self.activity.begin()
    }

    /// When the connection has been without a request for too long, as far as is known now: `first` is
    /// allowed before the first one, `between` after it.
    pub(super) fn idle_until(&self, first: Duration, between: Duration) -> Instant {
        let allowed = if self.answered_any.get() { between } else { first };
        let since = if self.running.get() > 0 { Instant::now() } else { self.idle_since.get() };
        since + allowed
    }
}

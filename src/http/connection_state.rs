//! What the handlers and the socket of one connection tell each other.

use std::cell::Cell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::activity::{Activity, ActivityGuard};
use super::direct::{DirectSend, DirectSlot};

/// With so many requests at once, less is read ahead of each.
const CROWD: usize = 256;

/// How much is then read of a body before its handler is asked to take it. actix-http alone reads several times that, which
/// takes less turns: with 64 at once it saves a tenth of the user time.
const READ_AHEAD_BYTES: usize = 16 * 1024;

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
    /// More may be read, or the end of the connection told: whoever reads a body has taken all that came of it.
    more_is_welcome: Cell<bool>,
    /// How much was read while a request ran, since its handler had taken all.
    read_ahead: Cell<usize>,
    /// Waits for more to be welcome.
    more_waiting: Cell<Option<Waker>>,
    direct: DirectSend,
}

impl ConnectionState {
    pub(super) fn new(is_tls: bool, is_http2: bool, activity: Arc<Activity>, direct: DirectSend) -> Self {
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
            more_is_welcome: Cell::new(true),
            read_ahead: Cell::new(0),
            more_waiting: Cell::new(None),
            direct,
        }
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
            self.welcome_more(true);
        }
    }

    /// How many requests are running (more than one with HTTP/2 only).
    pub(super) fn running(&self) -> usize {
        self.running.get()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.activity.is_stopping()
    }

    /// A handler has, or has not, taken all that came of a body so far. While it has not, nothing more is read
    /// from the connection, and its end is held back: actix-http throws away what it has read and not handed
    /// over when it sees the end. (HTTP/2 has windows of its own, and other streams.)
    pub(super) fn welcome_more(&self, is_welcome: bool) {
        self.more_is_welcome.set(is_welcome || self.is_http2);
        self.read_ahead.set(0);
        if is_welcome && let Some(waker) = self.more_waiting.take() {
            waker.wake();
        }
    }

    /// So many bytes were read. In a crowd, no more are, when they are enough for a while, until the handler asks.
    pub(super) fn note_read(&self, bytes: usize) {
        if self.is_http2 || self.running.get() == 0 {
            return;
        }
        self.read_ahead.set(self.read_ahead.get() + bytes);
        if self.read_ahead.get() >= READ_AHEAD_BYTES && self.activity.running() >= CROWD {
            self.more_is_welcome.set(false);
        }
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

    /// Waits until more of the connection may be read, or its end be told.
    pub(super) fn poll_more_welcome(&self, cx: &Context<'_>) -> Poll<()> {
        if self.more_is_welcome.get() {
            return Poll::Ready(());
        }
        self.more_waiting.set(Some(cx.waker().clone()));
        Poll::Pending
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

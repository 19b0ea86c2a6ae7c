//! The decisions of one upload, as a pure state machine: events in, actions out.
//!
//! It does no I/O, reads no clock and never waits, so it is tested with random interleavings against
//! a model (`tests.rs`). The actor around it owns the data, runs one [`Job`] at a time, and hands
//! every [`Answer`] to whoever holds the ticket.
//!
//! ```text
//!              Claim (granted)                Commit
//!     ┌──────┐ ───────────────▶ ┌─────────┐ ───────────▶ ┌────────────┐  published   ┌───────────┐
//! ──▶ │ open │                  │ writing │              │ committing │ ───────────▶ │ committed │
//!     └──────┘ ◀─────────────── └─────────┘              └────────────┘              └───────────┘
//!        │   Finish, Cut, take-over  │          digest differs, fault │
//!        │                           │         ◀──────── open ────────┘
//!        └────────── Cancel ─────────┴──▶ removing ──▶ cancelled (or failed: a single POST that was cut)
//! ```
//!
//! Commit and cancel exclude each other: a cancel that meets a commit waits for its end.

mod claim;
mod step;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::UploadError;
use crate::oci::Digest;

/// Names a request that waits for an answer. Each ticket is answered exactly once.
pub(super) type Ticket = u64;

/// What happens to an upload.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A request wants to write a body.
    Claim { ticket: Ticket, claim: Claim },
    /// A batch of a body; its bytes are with the actor.
    Piece { ticket: Ticket, epoch: u64, offset: u64, len: u64 },
    /// A body is there whole, and ended at `end`.
    Finish { ticket: Ticket, epoch: u64, end: u64 },
    /// A body broke off.
    Cut { ticket: Ticket, epoch: u64 },
    /// A body is there whole, ended at `end`, and was the last one.
    Commit { ticket: Ticket, epoch: u64, end: u64, digest: Digest },
    /// A request that follows a running commit of the same digest wants its answer.
    Join { ticket: Ticket, digest: Digest },
    /// The upload is to end and leave nothing.
    Cancel { ticket: Ticket },
    /// The process is to end: make what is there last, and stop.
    Drain { ticket: Ticket },
    /// The running job ended.
    Done(Outcome),
    /// The time that [`Action::WakeAt`] asked for has come.
    Tick,
}

/// How a request wants to write.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub start: Start,
    /// The digest that the body is to be committed as, if it is the last one.
    pub digest: Option<Digest>,
    pub discard_on_cut: bool,
}

/// Where a body's first byte goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Where the upload stands.
    Current,
    /// Exactly there, or not at all.
    Exactly(u64),
    /// There; what overlaps with what is kept must be equal to it.
    Replay(u64),
}

/// What the actor has to do.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Answer(Ticket, Answer),
    /// Starts a job; the next one comes only after its [`Event::Done`].
    Run(Job),
    /// Tells the writer of this epoch that its right has ended.
    Revoke {
        epoch: u64,
        cause: UploadError,
    },
    /// Wants an [`Event::Tick`] at this time; replaces an earlier wish.
    WakeAt(Duration),
    /// The upload has ended: the actor stops. `None`: it lives on in storage.
    Stop(Option<EndReason>),
}

/// What a ticket is answered with.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Granted {
        epoch: u64,
        start: u64,
    },
    /// The claim's digest is being committed: send nothing, then [`Event::Join`].
    Following,
    Accepted,
    Stands(u64),
    Committed(u64),
    Removed,
    Refused(UploadError),
}

/// One storage operation; the actor runs it with the data it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// Compares the first `overlap` bytes of the ticket's piece with what is kept, and appends the rest.
    Write { ticket: Ticket, offset: u64, overlap: u64 },
    /// Makes offset and hash state last.
    Checkpoint,
    /// Verifies, publishes, links, removes.
    Commit(Digest),
    /// Removes everything.
    Remove,
    /// After a fault: finds out from storage what is kept.
    Reopen,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The new offset; or the overlap differs ([`UploadError::RangeMismatch`]), or a fault.
    Written(Result<u64, UploadError>),
    Checkpointed(Result<(), UploadError>),
    /// The blob's size.
    Committed(Result<u64, UploadError>),
    Removed(Result<(), UploadError>),
    /// What is kept.
    Reopened(Result<u64, UploadError>),
}

/// Why an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// Its content was published.
    Committed,
    /// A client cancelled it.
    Cancelled,
    /// A single POST failed or was cut; nobody else can know its session.
    Failed,
}

impl EndReason {
    /// The label of the metric that counts it.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Committed => "committed",
            EndReason::Cancelled => "cancelled",
            EndReason::Failed => "failed",
        }
    }
}

/// How long claims wait and writers may be silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// A writer from which no byte came for so long loses its right to a newcomer.
    pub takeover_after: Duration,
    /// How many claims may wait for one upload; one more is refused at once.
    pub max_waiting: usize,
}

impl Limits {
    /// A newcomer waits a quarter longer than silence takes, so that the last bytes of an old connection, which were on
    /// their way when it came, do not cost it another try.
    fn longest_wait(&self) -> Duration {
        self.takeover_after + self.takeover_after / 4
    }
}

#[derive(Debug)]
pub(super) struct Machine {
    limits: Limits,
    phase: Phase,
    /// How many bytes are kept.
    offset: u64,
    /// What a job that failed has left is not known: reopen before anything else.
    stale: bool,
    last_epoch: u64,
    lease: Option<Lease>,
    /// What the lease's holder has sent, in order.
    queue: VecDeque<Work>,
    running: Option<Running>,
    waiting: VecDeque<Waiting>,
    /// Cancels and drains that wait for the running commit to end.
    enders: Vec<Ender>,
}

#[derive(Debug)]
enum Phase {
    Open,
    Committing {
        digest: Digest,
        tickets: Vec<Ticket>,
        discard: bool,
    },
    /// `answers` are given when everything is removed.
    Removing {
        reason: EndReason,
        answers: Vec<(Ticket, Answer)>,
    },
    /// A removal failed; only another cancel helps.
    NotRemoved {
        reason: EndReason,
        cause: UploadError,
    },
    Draining {
        tickets: Vec<Ticket>,
        /// The last checkpoint was tried.
        is_checkpointed: bool,
    },
    Ended(Ending),
}

#[derive(Debug)]
enum Ending {
    Committed { digest: Digest, size: u64 },
    Gone,
    Drained,
}

#[derive(Debug)]
struct Lease {
    epoch: u64,
    /// Where its next piece has to start.
    next: u64,
    discard_on_cut: bool,
    /// When the engine last had reason to wait for its bytes.
    last_progress: Duration,
    /// Its body has ended: silence says nothing any more.
    closing: bool,
}

#[derive(Debug)]
enum Work {
    Piece { ticket: Ticket, offset: u64, len: u64 },
    Finish { ticket: Ticket },
    Cut { ticket: Ticket },
    Commit { ticket: Ticket, digest: Digest },
}

/// Who waits for the running job.
#[derive(Debug)]
enum Running {
    Write { ticket: Ticket, epoch: u64 },
    Checkpoint { ticket: Option<Ticket>, epoch: Option<u64> },
    Commit,
    Remove,
    Reopen,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    claim: Claim,
    deadline: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Ender {
    Cancel(Ticket),
    Drain(Ticket),
}

impl Machine {
    /// An upload that is open and holds `offset` bytes.
    pub fn new(limits: Limits, offset: u64) -> Self {
        Machine {
            limits,
            phase: Phase::Open,
            offset,
            stale: false,
            last_epoch: 0,
            lease: None,
            queue: VecDeque::new(),
            running: None,
            waiting: VecDeque::new(),
            enders: Vec::new(),
        }
    }

    /// How many bytes are kept. It never goes down, except when the store lost some.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether a request has the right to write.
    pub fn is_writing(&self) -> bool {
        self.lease.is_some()
    }

    /// How many bytes are kept, or why nobody is to be told so any more.
    pub fn live_offset(&self) -> Result<u64, UploadError> {
        match &self.phase {
            Phase::Open | Phase::Committing { .. } | Phase::Draining { .. } => Ok(self.offset),
            Phase::Ended(_) | Phase::Removing { .. } | Phase::NotRemoved { .. } => Err(self.late_cause()),
        }
    }
}

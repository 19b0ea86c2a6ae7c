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
//! A policy that strikes ([`Event::Look`]) or an operator makes an open upload `expiring`, then `expired`. An open one that
//! nobody asks for becomes `passive`: it lives on in storage and leaves memory.
//!
//! Commit, cancel and expiry exclude each other: one that meets a commit waits for its end.

mod claim;
mod ends;
mod jobs;
mod policy;
mod step;
#[cfg(test)]
mod tests;
mod words;

use std::collections::VecDeque;
use std::time::Duration;

use self::policy::Pace;
pub(super) use self::policy::{MinRate, Rules};
pub(super) use self::words::{Action, Answer, Claim, Event, Job, LastPiece, Outcome, Stop, Ticket};
pub use self::words::{EndReason, Start};
use super::{Policy, UploadError};
use crate::oci::Digest;

#[derive(Debug)]
pub(super) struct Machine {
    rules: Rules,
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
    /// Cancels, expiries and drains that wait for the running commit to end.
    enders: Vec<Ender>,
    /// Who waits to hear where it stands.
    askers: Vec<Ticket>,
    /// How many bytes the newest checkpoint holds, and whether they survive the loss of power.
    checkpointed: u64,
    synced: u64,
    /// When the last byte came, or the last request.
    last_byte: Duration,
    last_request: Duration,
    pace: Pace,
    /// The last body did not come to its end.
    is_interrupted: bool,
}

/// How an upload is found, or begun.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// How many bytes are kept.
    pub offset: u64,
    /// How many of them need not be hashed again.
    pub checkpointed: u64,
    /// How many of them a checkpoint holds that survives the loss of power.
    pub synced: u64,
    /// When it is found, counted from when it was started.
    pub now: Duration,
    /// When its last byte came.
    pub last_byte: Duration,
}

#[derive(Debug)]
enum Phase {
    Open,
    Committing {
        digest: Digest,
        /// How many bytes.
        size: u64,
        tickets: Vec<Ticket>,
        discard: bool,
    },
    /// `answers` are given when everything is removed. Whoever asks meanwhile waits for that too, and so does a writer from
    /// whom a cancel took the right: nobody hears that it is gone before it is, since only then it stays so.
    Removing {
        reason: EndReason,
        answers: Vec<(Ticket, Answer)>,
    },
    /// A removal failed; another cancel or the next look tries again.
    NotRemoved {
        reason: EndReason,
        cause: UploadError,
        retry_at: Duration,
    },
    /// `answers` are given when it is done.
    Expiring {
        policy: Policy,
        answers: Vec<(Ticket, Answer)>,
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
    Expired,
    Drained,
    Passive,
}

#[derive(Debug)]
struct Lease {
    epoch: u64,
    /// Where its next piece has to start.
    next: u64,
    discard_on_cut: bool,
    /// When the engine last had reason to wait for its bytes.
    last_progress: Duration,
    /// When the last of its bytes was stored: until then slowness was not its own.
    ready_since: Duration,
    /// Bytes of it came and wait for memory: its silence is ours.
    is_held_up: bool,
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
    WriteAndCommit { ticket: Ticket, epoch: u64 },
    Checkpoint { ticket: Option<Ticket>, epoch: Option<u64> },
    MidCheckpoint,
    ForAskers,
    Rest,
    Expire,
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
    /// By whom; nobody waits for an answer to a policy.
    Expire(Policy, Option<Ticket>),
    Drain(Ticket),
}

impl Lease {
    /// Whether more of its body is wanted now, as far as the writer's side of the engine goes.
    fn is_read(&self) -> bool {
        !self.closing && !self.is_held_up
    }
}

impl Machine {
    /// An upload that is open.
    pub fn new(rules: Rules, found: Found) -> Self {
        Machine {
            rules,
            phase: Phase::Open,
            offset: found.offset,
            stale: false,
            last_epoch: 0,
            lease: None,
            queue: VecDeque::new(),
            running: None,
            waiting: VecDeque::new(),
            enders: Vec::new(),
            askers: Vec::new(),
            checkpointed: found.checkpointed.min(found.offset),
            synced: found.synced,
            last_byte: found.last_byte.min(found.now),
            last_request: found.now,
            pace: Pace::default(),
            is_interrupted: found.offset > 0,
        }
    }

    /// How many bytes are kept. It never goes down, except when the store lost some.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// When the last byte came, counted from the upload's start.
    pub fn last_byte(&self) -> Duration {
        self.last_byte
    }

    /// Whether a request has the right to write.
    pub fn is_writing(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether it is being verified and published.
    pub fn is_committing(&self) -> bool {
        matches!(self.phase, Phase::Committing { .. })
    }

    /// Whether a policy or an operator has struck, and what follows is not through.
    pub fn is_expiring(&self) -> bool {
        matches!(self.phase, Phase::Expiring { .. } | Phase::Removing { .. })
    }

    /// Whether work of a writer waits for the running job.
    pub fn has_queued_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How many bytes are kept, or why nobody is to be told so any more.
    pub fn live_offset(&self) -> Result<u64, UploadError> {
        match &self.phase {
            // One that expires is there until it has.
            Phase::Open | Phase::Committing { .. } | Phase::Draining { .. } | Phase::Expiring { .. } => Ok(self.offset),
            Phase::Ended(_) | Phase::Removing { .. } | Phase::NotRemoved { .. } => Err(self.late_cause()),
        }
    }

    /// Whether where it stands must be made sure of before it is told: after a fault nobody knows, where every acknowledged
    /// byte is to survive the loss of power, it has to be synced, and what is being removed may stay.
    pub fn must_look_before_telling(&self) -> bool {
        if self.is_removing() {
            return true;
        }
        let is_unsure = self.stale && self.lease.is_none() && self.can_look();
        self.live_offset().is_ok() && (is_unsure || self.rules.sync_offsets && self.synced < self.offset)
    }

    pub(super) fn is_removing(&self) -> bool {
        matches!(self.phase, Phase::Removing { .. })
    }

    /// Whether the store may be asked, or will be when a commit has ended.
    fn can_look(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Committing { .. })
    }
}

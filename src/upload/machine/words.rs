//! What the machine is told, and what it says.

use std::time::Duration;

use crate::oci::Digest;
use crate::upload::{Policy, UploadError};

/// Names a request that waits for an answer. Each ticket is answered exactly once.
pub(in crate::upload) type Ticket = u64;

/// What happens to an upload.
#[derive(Clone, Debug)]
pub(in crate::upload) enum Event {
    /// A request wants to write a body.
    Claim { ticket: Ticket, claim: Claim },
    /// A batch of a body; its bytes are with the actor.
    Piece { ticket: Ticket, epoch: u64, offset: u64, len: u64 },
    /// Whether a body is not read on, since there is no memory for what came, or it is not its turn. Its next piece ends that.
    HeldUp { epoch: u64, is_held_up: bool },
    /// A body is there whole, and ended at `end`.
    Finish { ticket: Ticket, epoch: u64, end: u64 },
    /// A body broke off.
    Cut { ticket: Ticket, epoch: u64 },
    /// A body is there whole, ended at `end`, and was the last one. What was not handed over of it before comes with it.
    Commit { ticket: Ticket, epoch: u64, end: u64, digest: Digest, last: Option<LastPiece> },
    /// A request that follows a running commit of the same digest wants its answer.
    Join { ticket: Ticket, digest: Digest },
    /// The upload is to end and leave nothing.
    Cancel { ticket: Ticket },
    /// An operator wants it to expire.
    Expire { ticket: Ticket },
    /// Somebody wants to know where it stands, and what is there has to be made sure of first.
    Status { ticket: Ticket },
    /// It is time to look whether a policy strikes, or whether the upload can leave memory.
    Look,
    /// The process is to end: make what is there last, and stop.
    Drain { ticket: Ticket },
    /// The running job ended.
    Done(Outcome),
    /// The time that [`Action::WakeAt`] asked for has come.
    Tick,
}

/// The last batch of a body, which has a ticket of its own.
#[derive(Clone, Copy, Debug)]
pub(in crate::upload) struct LastPiece {
    pub ticket: Ticket,
    pub offset: u64,
    pub len: u64,
}

/// How a request wants to write.
#[derive(Clone, Debug)]
pub(in crate::upload) struct Claim {
    pub start: Start,
    /// The digest that the body is to be committed as, if it is the last one.
    pub digest: Option<Digest>,
    /// How many bytes the body says it has.
    pub length: Option<u64>,
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
pub(in crate::upload) enum Action {
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
    /// A writer goes on with what an earlier one, that did not come to its end, has left: so many bytes.
    Resumed(u64),
    /// The upload has ended: the actor stops.
    Stop(Stop),
}

/// How an upload leaves memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upload) enum Stop {
    /// For good.
    Ended(EndReason),
    /// It expired; what is kept of it stands in storage.
    Expired(Policy),
    /// It lives on in storage, and the process ends.
    Drained,
    /// It lives on in storage.
    Passive,
}

/// What a ticket is answered with.
#[derive(Clone, Debug)]
pub(in crate::upload) enum Answer {
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
pub(in crate::upload) enum Job {
    /// Compares the first `overlap` bytes of the ticket's piece with what is kept, and appends the rest.
    Write { ticket: Ticket, offset: u64, overlap: u64 },
    /// The same with a piece that is all there is of the upload, and then [`Job::Commit`] if it is taken in.
    WriteAndCommit { ticket: Ticket, offset: u64, overlap: u64, digest: Digest },
    /// Makes offset and hash state last: at the end of a body, or because somebody asks.
    Checkpoint,
    /// The same in the middle of a body, which does not wait for what is being hashed.
    MidCheckpoint,
    /// The same, and for other programs too: nobody is expected for some time.
    Rest,
    /// Keeps what the policy lets be kept for a look, or removes everything.
    Expire(Policy),
    /// Verifies, publishes, links, removes.
    Commit(Digest),
    /// Removes everything.
    Remove,
    /// After a fault: finds out from storage what is kept.
    Reopen,
}

/// How a job ended.
#[derive(Clone, Debug)]
pub(in crate::upload) enum Outcome {
    /// The new offset; or the overlap differs ([`UploadError::RangeMismatch`]), or a fault.
    Written(Result<u64, UploadError>),
    /// The new offset, and how the commit ended; or why nothing was written, and so nothing committed.
    WrittenAndCommitted(Result<(u64, Result<u64, UploadError>), UploadError>),
    Checkpointed(Result<(), UploadError>),
    Expired(Result<(), UploadError>),
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
    /// A policy or an operator ended it.
    Expired,
}

impl EndReason {
    /// The label of the metric that counts it.
    pub fn as_str(self) -> &'static str {
        match self {
            EndReason::Committed => "committed",
            EndReason::Cancelled => "cancelled",
            EndReason::Failed => "failed",
            EndReason::Expired => "expired",
        }
    }
}

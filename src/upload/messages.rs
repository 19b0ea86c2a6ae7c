//! What the handle and the supervisor say to an upload's actor.
//!
//! Replies go through one-shot channels and not through the message's result, since an answer may come long after the
//! message was taken (a claim waits for a writer, a commit for its hash), and actix would run such handlers at once.

use std::net::IpAddr;

use actix::{Addr, Message};
use tokio::sync::oneshot;

use super::UploadError;
use super::actor::UploadActor;
use super::machine::Start;
use super::roster::Name;
use super::turns::Received;
use crate::oci::Digest;

pub(super) type Reply<T> = oneshot::Sender<Result<T, UploadError>>;

/// Asks where the upload stands. Answered at once, whatever else is going on.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct GetStatus {
    pub reply: Reply<Status>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub offset: u64,
    pub started_at: std::time::SystemTime,
}

/// Asks for the right to write a body.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Claim {
    pub start: Start,
    pub digest: Option<Digest>,
    pub length: Option<u64>,
    pub discard_on_cut: bool,
    pub client: Option<IpAddr>,
    pub reply: Reply<Grant>,
}

#[derive(Debug)]
pub(super) enum Grant {
    Write {
        epoch: u64,
        start: u64,
        /// Resolves when the right ends before its holder gave it back.
        revoked: oneshot::Receiver<UploadError>,
    },
    /// The same digest is being committed: throw the body away and join.
    Follow,
}

/// A batch of a body.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Piece {
    pub epoch: u64,
    pub batch: Batch,
}

/// Bytes that stand at `offset`. The reply comes when they are written.
pub(super) struct Batch {
    pub offset: u64,
    pub received: Received,
    pub reply: Reply<()>,
}

/// Whether the body of this epoch is not read on, since there is no memory for what came last, or others have their turn
/// before it. The next batch says that it is.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct HeldUp {
    pub epoch: u64,
    pub is_held_up: bool,
}

/// The end of a body.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct EndOfBody {
    pub epoch: u64,
    pub kind: End,
    pub reply: Reply<u64>,
}

/// How a body ended; `end` is the offset behind its last byte.
pub(super) enum End {
    /// It broke off.
    Cut,
    /// It is whole.
    Finish { end: u64 },
    /// It is whole, and was the last one; `last` is what was not sent of it before. The reply is the blob's size.
    Commit { end: u64, digest: Digest, last: Option<Batch> },
}

/// Waits for the running commit of this digest; the reply is the blob's size.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Join {
    pub digest: Digest,
    pub reply: Reply<u64>,
}

/// Ends the upload and removes everything of it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Cancel {
    pub reply: Reply<()>,
}

/// Makes the upload expire, as an operator wants it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Expire {
    pub reply: Reply<()>,
}

/// It is time to look whether a policy strikes. The sender is dropped when what follows is through.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Look {
    pub done: oneshot::Sender<()>,
}

/// Makes what is there last and stops the actor; the upload lives on in storage.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain {
    pub reply: Reply<()>,
}

/// To the supervisor: give the actor of an upload that is in no index; it looks for the upload in storage.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Revive {
    pub name: Name,
    pub reply: Reply<Addr<UploadActor>>,
}

/// To the supervisor: look now at what is due, and at the free space; the reply comes when that is through.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct LookNow {
    pub reply: oneshot::Sender<()>,
}

/// To the supervisor: admit nothing more, drain every upload.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct DrainAll {
    pub reply: oneshot::Sender<()>,
}

//! Carries one body from a request to its upload: coalesces what comes from the socket into batches, keeps two of them
//! in flight, and hands over the end. It is a task of its own, so that a request that is dropped half-way still
//! delivers every byte that it had taken.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use bytes::Bytes;
use futures_util::future::join;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::UploadError;
use super::actor::UploadActor;
use super::ask::ask;
use super::batch::Batch;
use super::memory::{Body, Share};
use super::messages::{self, End, EndOfBody, HeldUp, Piece, Reply};
use super::turns::Received;

/// One batch is written while the next one waits in the actor's mailbox; more would only hold memory.
const BATCHES_IN_FLIGHT: usize = 2;

/// How long bytes wait for more to come before they are handed over as they are.
const SHORTEST_LINGER: Duration = Duration::from_millis(10);

/// How long a batch that is not full comes behind the one before it, for each body that there is: however many drip, they
/// make about a thousand batches a second.
const INTERVAL_FOR_EACH: Duration = Duration::from_millis(1);

/// Where a batch that is not full ends, if it can: a file is written page by page.
pub(super) const PAGE_BYTES: usize = 4096;

pub(super) enum Command {
    Piece(Bytes),
    /// What was received in a turn.
    Turn(Received),
    /// Whether the body waits for its turn.
    HeldUp(bool),
    End {
        kind: EndKind,
        reply: Reply<u64>,
    },
}

pub(super) enum EndKind {
    Cut,
    Finish,
    Commit(crate::oci::Digest),
}

pub(super) struct Pump {
    pub address: Addr<UploadActor>,
    pub epoch: u64,
    /// Where the next batch goes.
    pub offset: u64,
    pub commands: mpsc::Receiver<Command>,
    pub revoked: oneshot::Receiver<UploadError>,
    pub failure: watch::Sender<Option<UploadError>>,
    /// How many bytes make a batch, while memory is not short.
    pub batch_bytes: usize,
    /// How long a batch may come behind the one before it, however many bodies there are.
    pub longest_interval: Duration,
    /// When the last batch went.
    pub last_sent: Option<Instant>,
    /// Its part of what all bodies together may hold.
    pub memory: Body,
}

/// A batch on its way, and what it takes of the memory until it is written.
struct InFlight {
    answer: oneshot::Receiver<Result<(), UploadError>>,
    _share: Share,
}

impl Pump {
    pub async fn run(mut self) {
        let mut in_flight: VecDeque<InFlight> = VecDeque::with_capacity(BATCHES_IN_FLIGHT);
        let mut batch = Batch::default();
        let carried = self.carry(&mut batch, &mut in_flight).await;
        let end = match carried {
            Ok(end) => end,
            Err(cause) => {
                let cause = self.first_cause(cause, in_flight).await;
                return self.fail(cause).await;
            }
        };
        let (kind, reply) = end;
        let answer = match self.hand_over_end(kind, batch, in_flight).await {
            Err(cause) => Err(self.revoked.try_recv().unwrap_or(cause)),
            answer => answer,
        };
        if let Err(cause) = &answer {
            self.fail(cause.clone()).await;
        }
        if let Some(reply) = reply {
            // A request that has left needs no answer; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
    }

    /// Moves pieces until the body ends, whole or cut. What came before a commit is left in `batch` when it
    /// is all there is.
    async fn carry(
        &mut self,
        batch: &mut Batch,
        in_flight: &mut VecDeque<InFlight>,
    ) -> Result<(EndKind, Option<Reply<u64>>), UploadError> {
        // A piece that waits for its share of the memory; meanwhile what came before it goes on.
        let mut waiting: Option<Waiting> = None;
        // Whether the body waits for its turn.
        let mut has_turn_coming = false;
        let end = loop {
            let batch_bytes = self.memory.batch_bytes(self.batch_bytes);
            if in_flight.len() < BATCHES_IN_FLIGHT
                && let Some(len) = self.due_bytes(batch, batch_bytes, waiting.is_some(), in_flight.is_empty())
            {
                let rest = batch.split_off(len, self.next_due());
                self.send(batch, in_flight).await?;
                *batch = rest;
                if waiting.is_some() {
                    self.say_held_up(true).await?;
                }
                continue;
            }
            if has_turn_coming && batch.len < PAGE_BYTES {
                // A part of a page goes with what comes in the turn.
                batch.due = None;
            }
            let due = batch.due.filter(|_| in_flight.len() < BATCHES_IN_FLIGHT);
            let may_hold_two = in_flight.is_empty() || !self.memory.is_scarce();
            // A batch keeps one turn only.
            let has_room = batch.len < batch_bytes && batch.turn.is_none();
            let takes_more = may_hold_two && has_room && waiting.is_none();
            tokio::select! {
                biased;
                cause = &mut self.revoked => return Err(cause.unwrap_or(UploadError::Died)),
                answer = first(in_flight), if !in_flight.is_empty() => {
                    in_flight.pop_front();
                    answer?;
                }
                share = share_of(&mut waiting), if waiting.is_some() => {
                    if let Some(Waiting { piece, .. }) = waiting.take() {
                        batch.push(piece, share, self.next_due());
                    }
                }
                command = self.commands.recv(), if takes_more => match command {
                    Some(Command::Piece(piece)) => match self.share_for(&piece, batch) {
                        Some(share) => batch.push(piece, share, self.next_due()),
                        None => {
                            self.say_held_up(true).await?;
                            // What is in the batch goes meanwhile, and takes its share with it.
                            let share = Box::pin(self.memory.take(piece.len(), self.batch_bytes));
                            waiting = Some(Waiting { piece, share });
                        }
                    },
                    Some(Command::Turn(received)) => {
                        has_turn_coming = false;
                        batch.push_turn(received);
                    }
                    Some(Command::HeldUp(is_held_up)) => {
                        has_turn_coming = is_held_up;
                        if batch.len > 0 {
                            batch.due.get_or_insert(self.next_due());
                        }
                        self.say_held_up(is_held_up).await?;
                    }
                    Some(Command::End { kind, reply }) => break (kind, Some(reply)),
                    None => break (EndKind::Cut, None),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        };
        let is_whole_blob = matches!(end.0, EndKind::Commit(_)) && self.offset == 0;
        if batch.len > 0 && !is_whole_blob {
            self.send(batch, in_flight).await?;
        }
        Ok(end)
    }

    /// What the memory gives for a piece at once; `None` when it has to wait in line.
    fn share_for(&self, piece: &Bytes, batch: &Batch) -> Option<Share> {
        match batch.missing_for(piece) {
            0 => Some(Share::default()),
            missing => self.memory.try_take(missing, self.batch_bytes),
        }
    }

    /// How much of the batch is to go now, if any. A full one ends at a multiple of `batch_bytes` of the upload, since a store
    /// may have to do more for an end at any other place.
    fn due_bytes(&self, batch: &Batch, batch_bytes: usize, is_in_line: bool, is_idle: bool) -> Option<usize> {
        if batch.len >= batch_bytes && batch.turn.is_none() {
            return Some(bytes_to_multiple(self.offset, batch.len, batch_bytes));
        }
        let is_due = batch.due.is_some_and(|due| due <= Instant::now());
        // Where more has to wait in line, nothing is gained by holding back what is there, but for a part of a page.
        let may_go = is_due || is_in_line && (is_idle || batch.len >= PAGE_BYTES);
        (may_go && batch.len > 0).then(|| bytes_to_multiple(self.offset, batch.len, PAGE_BYTES))
    }

    /// When bytes that come now must go. What comes after a while goes soon, so that a client that sends little is not taken
    /// for a silent one.
    fn next_due(&self) -> Instant {
        let soon = Instant::now() + SHORTEST_LINGER;
        if self.memory.batch_bytes(self.batch_bytes) == self.batch_bytes {
            // Memory is not short: there are not so many.
            return soon;
        }
        let bodies = u32::try_from(self.memory.count()).unwrap_or(u32::MAX);
        let interval = INTERVAL_FOR_EACH.saturating_mul(bodies).min(self.longest_interval);
        self.last_sent.map_or(soon, |last_sent| soon.max(last_sent + interval))
    }

    /// Tells whether the body waits for memory or for its turn, which is no silence of its client. Every batch ends this.
    async fn say_held_up(&self, is_held_up: bool) -> Result<(), UploadError> {
        deliver(&self.address, HeldUp { epoch: self.epoch, is_held_up }).await
    }

    async fn send(&mut self, batch: &mut Batch, in_flight: &mut VecDeque<InFlight>) -> Result<(), UploadError> {
        let (batch, under_way) = self.message_of(std::mem::take(batch));
        self.last_sent = Some(Instant::now());
        deliver(&self.address, Piece { epoch: self.epoch, batch }).await?;
        in_flight.push_back(under_way);
        Ok(())
    }

    fn message_of(&mut self, mut batch: Batch) -> (messages::Batch, InFlight) {
        batch.share.shrink_to(batch.len);
        let (reply, answer) = oneshot::channel();
        let offset = self.offset;
        self.offset += batch.len as u64;
        let received = Received { pieces: batch.pieces, turn: batch.turn };
        let message = messages::Batch { offset, received, reply };
        (message, InFlight { answer, _share: batch.share })
    }

    /// Sends the end of the body, and with it what came when it is a whole blob: so that a small one is one job.
    async fn hand_over_end(
        &mut self,
        kind: EndKind,
        batch: Batch,
        mut in_flight: VecDeque<InFlight>,
    ) -> Result<u64, UploadError> {
        let mut last = None;
        if batch.len > 0 {
            let (message, under_way) = self.message_of(batch);
            in_flight.push_back(under_way);
            last = Some(message);
        }
        let end = self.offset;
        let kind = match kind {
            EndKind::Cut => End::Cut,
            EndKind::Finish => End::Finish { end },
            EndKind::Commit(digest) => End::Commit { end, digest, last },
        };
        let epoch = self.epoch;
        let ended = ask(&self.address, |reply| EndOfBody { epoch, kind, reply });
        // The end may take long. What is written meanwhile gives its memory back.
        let (answer, written) = join(ended, all_written(in_flight)).await;
        // The first cause says more than what followed from it.
        written.and(answer)
    }

    /// Why the right to write has ended is said once, just then. What comes after that is refused by what holds by then,
    /// and an actor that is gone says nothing at all.
    async fn first_cause(&mut self, cause: UploadError, in_flight: VecDeque<InFlight>) -> UploadError {
        if let Ok(cause) = self.revoked.try_recv() {
            return cause;
        }
        if !says_nothing(&cause) {
            return cause;
        }
        for batch in in_flight {
            match batch.answer.await {
                Ok(Err(cause)) if !says_nothing(&cause) => return cause,
                _ => {}
            }
        }
        cause
    }

    async fn fail(&mut self, cause: UploadError) {
        self.commands.close();
        let _ = self.failure.send(Some(cause));
        // Gives the right to write back where it is still held; otherwise this says nothing new.
        let _ = ask(&self.address, |reply| EndOfBody { epoch: self.epoch, kind: End::Cut, reply }).await;
    }
}

/// How many of `len` bytes from `offset` on end at a multiple of `unit`; all, if there is none.
fn bytes_to_multiple(offset: u64, len: usize, unit: usize) -> usize {
    // Less than `unit`.
    let behind = ((offset + len as u64) % unit as u64) as usize;
    if behind < len { len - behind } else { len }
}

/// Whether this says only that the upload's actor ended or left memory, which is not what a writer wants to know.
fn says_nothing(cause: &UploadError) -> bool {
    matches!(cause, UploadError::Died | UploadError::Passivated)
}

async fn first(in_flight: &mut VecDeque<InFlight>) -> Result<(), UploadError> {
    match in_flight.front_mut() {
        Some(batch) => (&mut batch.answer).await.unwrap_or(Err(UploadError::Died)),
        None => std::future::pending().await,
    }
}

async fn all_written(in_flight: VecDeque<InFlight>) -> Result<(), UploadError> {
    let mut all = Ok(());
    for batch in in_flight {
        all = all.and(batch.answer.await.unwrap_or(Err(UploadError::Died)));
    }
    all
}

struct Waiting {
    piece: Bytes,
    share: Pin<Box<dyn Future<Output = Share> + Send>>,
}

async fn share_of(waiting: &mut Option<Waiting>) -> Share {
    match waiting {
        Some(waiting) => waiting.share.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Puts a message, such as a batch, into the actor's mailbox. A message that was only being sent would be lost with this task, so it is
/// tried first whether there is room, and there is: an upload's mailbox is larger than what its writers have in flight.
async fn deliver<M>(address: &Addr<UploadActor>, message: M) -> Result<(), UploadError>
where
    M: Message<Result = ()> + Send + 'static,
    UploadActor: Handler<M>,
    Context<UploadActor>: ToEnvelope<UploadActor, M>,
{
    match address.try_send(message) {
        Ok(()) => Ok(()),
        Err(SendError::Full(message)) => address.send(message).await.map_err(|_| UploadError::Died),
        Err(SendError::Closed(_)) => Err(UploadError::Died),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_at_a_multiple_if_there_is_one() {
        for (offset, len, expected) in [
            (0, 4096, 4096),
            (0, 5000, 4096),
            (0, 100, 100),
            (4090, 6, 6),
            (4090, 7, 6),
            (4097, 4094, 4094),
            (4097, 8192, 8191),
        ] {
            assert_eq!(bytes_to_multiple(offset, len, 4096), expected, "{len} bytes from {offset} on");
        }
    }
}

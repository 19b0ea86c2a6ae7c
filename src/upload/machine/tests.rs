//! Random interleavings of requests, job results and time against a model of what must hold, and the single
//! transitions that a reader wants to see.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::oci::Algorithm;
use crate::storage::{StorageError, StorageErrorKind};

const TAKEOVER: Duration = Duration::from_secs(1);

fn machine() -> Machine {
    Machine::new(Limits { takeover_after: TAKEOVER, max_waiting: 3 }, 0)
}

fn digest(seed: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[seed; 32]).unwrap()
}

fn fault() -> UploadError {
    UploadError::Storage(Arc::new(StorageError::new(StorageErrorKind::Fault, "append", "data")))
}

fn plain_claim() -> Claim {
    Claim { start: Start::Current, digest: None, discard_on_cut: false }
}

/// A body that has the right to write, or had it.
#[derive(Clone, Debug)]
struct Body {
    epoch: u64,
    next: u64,
    ended: bool,
}

/// The world around the machine: storage that may fail, requests that come in any order, and what must hold.
struct World {
    machine: Machine,
    now: Duration,
    job: Option<Job>,
    kept: u64,
    highest_reported: u64,
    bodies: Vec<Body>,
    /// What each unanswered ticket asked, as a letter for the messages.
    open_tickets: HashMap<Ticket, &'static str>,
    pieces: HashMap<Ticket, (u64, u64, u64)>,
    answered: HashSet<Ticket>,
    last_ticket: Ticket,
    revoked: HashSet<u64>,
    lease: Option<u64>,
    committed: bool,
    removed: bool,
    /// Its data is gone from the store.
    lost: bool,
    stopped: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Claim { start: u8, seed: Option<u8>, discard: bool },
    Piece { body: usize, len: u64, gap: bool },
    Finish { body: usize },
    Cut { body: usize },
    Commit { body: usize, seed: u8 },
    Join { seed: u8 },
    Cancel,
    Drain,
    JobEnds { succeeds: bool, partly: bool },
    Wait { millis: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4u8, prop::option::of(0..2u8), prop::bool::weighted(0.1))
            .prop_map(|(start, seed, discard)| Op::Claim { start, seed, discard }),
        8 => (any::<usize>(), 1..100u64, prop::bool::weighted(0.05))
            .prop_map(|(body, len, gap)| Op::Piece { body, len, gap }),
        2 => any::<usize>().prop_map(|body| Op::Finish { body }),
        1 => any::<usize>().prop_map(|body| Op::Cut { body }),
        1 => (any::<usize>(), 0..2u8).prop_map(|(body, seed)| Op::Commit { body, seed }),
        1 => (0..2u8).prop_map(|seed| Op::Join { seed }),
        1 => Just(Op::Cancel),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Op::Drain } else { Op::Wait { millis: 1 } }),
        12 => (prop::bool::weighted(0.9), any::<bool>())
            .prop_map(|(succeeds, partly)| Op::JobEnds { succeeds, partly }),
        3 => (1..1500u64).prop_map(|millis| Op::Wait { millis }),
    ]
}

impl World {
    fn new() -> Self {
        World {
            machine: machine(),
            now: Duration::ZERO,
            job: None,
            kept: 0,
            highest_reported: 0,
            bodies: Vec::new(),
            open_tickets: HashMap::new(),
            pieces: HashMap::new(),
            answered: HashSet::new(),
            last_ticket: 0,
            revoked: HashSet::new(),
            lease: None,
            committed: false,
            removed: false,
            lost: false,
            stopped: false,
        }
    }

    fn ticket(&mut self, asked: &'static str) -> Ticket {
        self.last_ticket += 1;
        self.open_tickets.insert(self.last_ticket, asked);
        self.last_ticket
    }

    fn body(&self, at: usize) -> Option<usize> {
        (!self.bodies.is_empty()).then(|| at % self.bodies.len())
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Claim { start, seed, discard } => {
                let start = match start {
                    0 => Start::Current,
                    1 => Start::Exactly(self.machine.offset()),
                    2 => Start::Exactly(self.machine.offset() + 7),
                    _ => Start::Replay(self.machine.offset().saturating_sub(13)),
                };
                let ticket = self.ticket("claim");
                let claim = Claim { start, digest: seed.map(digest), discard_on_cut: discard };
                self.step(Event::Claim { ticket, claim });
            }
            Op::Piece { body, len, gap } => {
                let Some(at) = self.body(body) else { return };
                let Body { epoch, next, .. } = self.bodies[at];
                let offset = if gap { next + 1 } else { next };
                let ticket = self.ticket("piece");
                self.pieces.insert(ticket, (epoch, offset, len));
                self.step(Event::Piece { ticket, epoch, offset, len });
                if !gap && !self.bodies[at].ended {
                    self.bodies[at].next += len;
                }
            }
            Op::Finish { body } => self.end_body(body, |ticket, epoch, end| Event::Finish { ticket, epoch, end }),
            Op::Cut { body } => self.end_body(body, |ticket, epoch, _| Event::Cut { ticket, epoch }),
            Op::Commit { body, seed } => {
                self.end_body(body, |ticket, epoch, end| Event::Commit { ticket, epoch, end, digest: digest(seed) })
            }
            Op::Join { seed } => {
                let ticket = self.ticket("join");
                self.step(Event::Join { ticket, digest: digest(seed) });
            }
            Op::Cancel => {
                let ticket = self.ticket("cancel");
                self.step(Event::Cancel { ticket });
            }
            Op::Drain => {
                let ticket = self.ticket("drain");
                self.step(Event::Drain { ticket });
            }
            Op::JobEnds { succeeds, partly } => self.end_job(succeeds, partly),
            Op::Wait { millis } => {
                self.now += Duration::from_millis(millis);
                self.step(Event::Tick);
            }
        }
    }

    fn end_body(&mut self, body: usize, event: impl Fn(Ticket, u64, u64) -> Event) {
        let Some(at) = self.body(body) else { return };
        let Body { epoch, next, .. } = self.bodies[at];
        self.bodies[at].ended = true;
        let ticket = self.ticket("end of body");
        self.step(event(ticket, epoch, next));
    }

    fn end_job(&mut self, succeeds: bool, partly: bool) {
        let Some(job) = self.job.take() else { return };
        let outcome = match job {
            Job::Write { ticket, offset, overlap } => {
                let (_, start, len) = self.pieces[&ticket];
                assert_eq!(offset, start);
                if overlap < len {
                    assert_eq!(start + overlap, self.kept, "bytes are appended where the upload ends");
                }
                if succeeds {
                    self.kept = self.kept.max(start + len);
                    Outcome::Written(Ok(self.kept))
                } else if overlap > 0 {
                    Outcome::Written(Err(UploadError::RangeMismatch { offset: self.kept }))
                } else {
                    self.kept += if partly { len / 2 } else { 0 };
                    Outcome::Written(Err(fault()))
                }
            }
            Job::Checkpoint => Outcome::Checkpointed(if succeeds { Ok(()) } else { Err(fault()) }),
            Job::Commit(wanted) => Outcome::Committed(match (succeeds, partly) {
                (true, _) => {
                    assert!(!self.removed, "nothing is committed that was removed");
                    self.committed = true;
                    Ok(self.kept)
                }
                (false, true) => Err(UploadError::DigestMismatch { expected: wanted, actual: digest(9) }),
                (false, false) => Err(fault()),
            }),
            Job::Remove => {
                assert!(!self.committed, "what was committed is not removed as a cancelled one");
                self.removed |= succeeds;
                Outcome::Removed(if succeeds { Ok(()) } else { Err(fault()) })
            }
            Job::Reopen => Outcome::Reopened(match (succeeds, partly) {
                (true, _) => Ok(self.kept),
                (false, true) => Err(fault()),
                (false, false) => {
                    self.lost = true;
                    Err(UploadError::Unknown)
                }
            }),
        };
        self.step(Event::Done(outcome));
    }

    fn step(&mut self, event: Event) {
        let before = self.machine.offset();
        let actions = self.machine.step(event, self.now);
        assert!(self.machine.offset() >= before, "an offset never goes down");
        assert!(self.machine.offset() <= self.kept, "no byte is reported that is not kept");
        for action in actions {
            self.check(action);
        }
        assert!(self.machine.offset() >= self.highest_reported);
    }

    fn check(&mut self, action: Action) {
        match action {
            Action::Answer(ticket, answer) => self.check_answer(ticket, answer),
            Action::Run(job) => {
                assert!(self.job.is_none(), "one job at a time");
                assert!(!self.stopped, "nothing runs after the end");
                if let Job::Write { ticket, .. } = &job {
                    let (epoch, ..) = self.pieces[ticket];
                    assert!(!self.revoked.contains(&epoch), "late bytes of an old writer are not written");
                    assert_eq!(self.lease, Some(epoch), "only who has the right writes");
                }
                self.job = Some(job);
            }
            Action::Revoke { epoch, .. } => {
                assert!(self.revoked.insert(epoch), "a right is taken away once");
            }
            Action::WakeAt(at) => assert!(at >= self.now),
            Action::Stop(reason) => {
                assert!(!self.stopped, "an upload ends once");
                assert!(self.job.is_none(), "no job is left running");
                self.stopped = true;
                match reason {
                    Some(EndReason::Committed) => assert!(self.committed),
                    Some(EndReason::Cancelled) => assert!(self.removed),
                    Some(EndReason::Failed) => assert!(self.removed || self.lost),
                    None => assert!(!self.committed),
                }
            }
        }
    }

    fn check_answer(&mut self, ticket: Ticket, answer: Answer) {
        let asked = self.open_tickets.remove(&ticket);
        assert!(asked.is_some(), "ticket {ticket} was answered before or never asked: {answer:?}");
        assert!(self.answered.insert(ticket));
        match answer {
            Answer::Granted { epoch, start } => {
                assert!(self.lease.is_none_or(|held| held < epoch), "epochs only grow");
                assert!(start <= self.machine.offset());
                assert!(!self.removed && !self.committed);
                self.lease = Some(epoch);
                self.bodies.push(Body { epoch, next: start, ended: false });
            }
            Answer::Accepted => {
                let (_, offset, len) = self.pieces[&ticket];
                assert!(offset + len <= self.kept, "what was accepted is kept");
                self.highest_reported = self.highest_reported.max(offset + len);
            }
            Answer::Stands(offset) => {
                assert_eq!(offset, self.machine.offset());
                self.highest_reported = offset;
            }
            Answer::Committed(size) => {
                assert!(self.committed, "nobody hears of a commit before it happened");
                assert_eq!(size, self.kept);
            }
            Answer::Removed => assert!(self.removed || asked == Some("drain")),
            Answer::Following | Answer::Refused(_) => {}
        }
    }

    /// Lets everything come to rest: jobs succeed, time passes.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.end_job(true, false);
            self.now += TAKEOVER;
            self.step(Event::Tick);
        }
        assert!(self.open_tickets.is_empty(), "unanswered: {:?}", self.open_tickets);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn random_interleavings_keep_every_promise(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        world.settle();
    }
}

fn grant(machine: &mut Machine, ticket: Ticket, claim: Claim, now: Duration) -> (u64, u64) {
    for action in machine.step(Event::Claim { ticket, claim }, now) {
        if let Action::Answer(_, Answer::Granted { epoch, start }) = action {
            return (epoch, start);
        }
    }
    panic!("claim {ticket} was not granted");
}

fn answers(actions: Vec<Action>) -> Vec<(Ticket, Answer)> {
    actions
        .into_iter()
        .filter_map(|action| match action {
            Action::Answer(ticket, answer) => Some((ticket, answer)),
            _ => None,
        })
        .collect()
}

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_silent_writer_is_taken_over_and_its_late_bytes_are_refused() {
    let mut machine = machine();
    let (old, _) = grant(&mut machine, 1, plain_claim(), at(0));
    let actions = machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(200));
    assert!(matches!(actions[..], [Action::WakeAt(wake)] if wake == at(1000)), "{actions:?}");
    let actions = machine.step(Event::Tick, at(1000));
    assert!(actions.iter().any(|action| matches!(action, Action::Revoke { epoch, .. } if *epoch == old)));
    assert!(actions.iter().any(|action| matches!(action, Action::Answer(2, Answer::Granted { .. }))));
    let late = answers(machine.step(Event::Piece { ticket: 3, epoch: old, offset: 0, len: 5 }, at(1001)));
    assert!(matches!(late[..], [(3, Answer::Refused(UploadError::Superseded))]), "{late:?}");
    assert_eq!(machine.offset(), 0);
}

#[test]
fn a_writer_that_still_writes_keeps_its_right_and_the_newcomer_is_told() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(100));
    for (n, millis) in [(0u64, 400), (1, 800)] {
        machine.step(Event::Piece { ticket: 10 + n, epoch, offset: n * 5, len: 5 }, at(millis));
        machine.step(Event::Done(Outcome::Written(Ok(n * 5 + 5))), at(millis));
    }
    assert!(answers(machine.step(Event::Tick, at(1349))).is_empty());
    let told = answers(machine.step(Event::Tick, at(1350)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Busy { .. }))]), "{told:?}");
    assert!(machine.is_writing());
}

#[test]
fn a_slow_store_of_our_own_is_not_the_writers_silence() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(10));
    machine.step(Event::Claim { ticket: 3, claim: plain_claim() }, at(4000));
    let told = answers(machine.step(Event::Tick, at(5250)));
    assert!(matches!(told[..], [(3, Answer::Refused(UploadError::Busy { .. }))]), "{told:?}");
    // The write took nine seconds; silence begins only now.
    machine.step(Event::Done(Outcome::Written(Ok(5))), at(9000));
    machine.step(Event::Claim { ticket: 4, claim: plain_claim() }, at(9500));
    assert!(machine.is_writing());
    let told = answers(machine.step(Event::Tick, at(10000)));
    assert!(matches!(told[..], [(4, Answer::Granted { start: 5, .. })]), "{told:?}");
}

#[test]
fn a_gap_is_refused() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    let told = answers(machine.step(Event::Piece { ticket: 2, epoch, offset: 5, len: 5 }, at(1)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Gap))]), "{told:?}");
}

#[test]
fn a_put_that_meets_a_commit_of_the_same_digest_gets_its_answer() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1) }, at(1));
    let same = Claim { digest: Some(digest(1)), ..plain_claim() };
    let told = answers(machine.step(Event::Claim { ticket: 3, claim: same }, at(2)));
    assert!(matches!(told[..], [(3, Answer::Following)]), "{told:?}");
    machine.step(Event::Join { ticket: 4, digest: digest(1) }, at(3));
    let told = answers(machine.step(Event::Done(Outcome::Committed(Ok(0))), at(4)));
    assert!(matches!(told[..], [(2, Answer::Committed(0)), (4, Answer::Committed(0))]), "{told:?}");
}

#[test]
fn a_cancel_waits_for_a_commit_and_comes_too_late_when_it_succeeds() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1) }, at(1));
    assert!(machine.step(Event::Cancel { ticket: 3 }, at(2)).is_empty());
    let told = answers(machine.step(Event::Done(Outcome::Committed(Ok(0))), at(3)));
    assert!(matches!(told[..], [(2, Answer::Committed(0)), (3, Answer::Refused(UploadError::Unknown))]), "{told:?}");
}

#[test]
fn a_wrong_digest_leaves_the_upload_open() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Commit { ticket: 2, epoch, end: 0, digest: digest(1) }, at(1));
    let mismatch = UploadError::DigestMismatch { expected: digest(1), actual: digest(2) };
    let told = answers(machine.step(Event::Done(Outcome::Committed(Err(mismatch))), at(2)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::DigestMismatch { .. }))]), "{told:?}");
    grant(&mut machine, 3, plain_claim(), at(3));
}

#[test]
fn a_single_post_that_is_cut_keeps_nothing() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, Claim { discard_on_cut: true, ..plain_claim() }, at(0));
    let actions = machine.step(Event::Cut { ticket: 2, epoch }, at(1));
    assert!(matches!(actions[..], [Action::Run(Job::Remove)]), "{actions:?}");
    let actions = machine.step(Event::Done(Outcome::Removed(Ok(()))), at(2));
    assert!(actions.iter().any(|action| matches!(action, Action::Stop(Some(EndReason::Failed)))), "{actions:?}");
}

#[test]
fn a_removal_that_failed_can_be_tried_again() {
    let mut machine = machine();
    machine.step(Event::Cancel { ticket: 1 }, at(0));
    let told = answers(machine.step(Event::Done(Outcome::Removed(Err(fault()))), at(1)));
    assert!(matches!(told[..], [(1, Answer::Refused(UploadError::Storage(_)))]), "{told:?}");
    let told = answers(machine.step(Event::Claim { ticket: 2, claim: plain_claim() }, at(2)));
    assert!(matches!(told[..], [(2, Answer::Refused(UploadError::Storage(_)))]), "{told:?}");
    assert!(matches!(machine.live_offset(), Err(UploadError::Storage(_))));
    machine.step(Event::Cancel { ticket: 3 }, at(3));
    let told = answers(machine.step(Event::Done(Outcome::Removed(Ok(()))), at(4)));
    assert!(matches!(told[..], [(3, Answer::Removed)]), "{told:?}");
}

#[test]
fn a_body_whose_end_is_not_where_its_last_piece_ended_is_refused() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Done(Outcome::Written(Ok(5))), at(2));
    // A piece between was lost on its way.
    let actions = machine.step(Event::Commit { ticket: 3, epoch, end: 9, digest: digest(1) }, at(3));
    assert!(!actions.iter().any(|action| matches!(action, Action::Run(_))), "{actions:?}");
    let told = answers(actions);
    assert!(matches!(told[..], [(3, Answer::Refused(UploadError::Gap))]), "{told:?}");
    assert!(!machine.is_writing());
}

#[test]
fn a_cancel_that_meets_the_loss_of_the_data_removes_the_rest() {
    let mut machine = machine();
    let (epoch, _) = grant(&mut machine, 1, plain_claim(), at(0));
    machine.step(Event::Piece { ticket: 2, epoch, offset: 0, len: 5 }, at(1));
    machine.step(Event::Done(Outcome::Written(Err(fault()))), at(2));
    let actions = machine.step(Event::Claim { ticket: 3, claim: plain_claim() }, at(3));
    assert!(matches!(actions[..], [Action::Run(Job::Reopen)]), "{actions:?}");
    machine.step(Event::Cancel { ticket: 4 }, at(4));
    let actions = machine.step(Event::Done(Outcome::Reopened(Err(UploadError::Unknown))), at(5));
    assert!(matches!(actions[..], [.., Action::Run(Job::Remove)]), "{actions:?}");
    let told = answers(machine.step(Event::Done(Outcome::Removed(Ok(()))), at(6)));
    assert!(matches!(told[..], [(4, Answer::Removed)]), "{told:?}");
}

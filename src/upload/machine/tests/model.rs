//! Random interleavings of requests, job results and time against a model of what must hold.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

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
    expired: bool,
    /// How far the newest checkpoint reached.
    synced: u64,
    /// Its data is gone from the store.
    lost: bool,
    stopped: bool,
    /// The rights to write whose bodies wait for memory.
    held_up: HashSet<u64>,
}

#[derive(Clone, Debug)]
enum Op {
    Claim { start: u8, seed: Option<u8>, discard: bool },
    Piece { body: usize, len: u64, gap: bool },
    HeldUp { body: usize, is_held_up: bool },
    Finish { body: usize },
    Cut { body: usize },
    Commit { body: usize, seed: u8, last: Option<u64> },
    Join { seed: u8 },
    Cancel,
    Expire,
    Status,
    Look,
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
        1 => (any::<usize>(), any::<bool>()).prop_map(|(body, is_held_up)| Op::HeldUp { body, is_held_up }),
        2 => any::<usize>().prop_map(|body| Op::Finish { body }),
        1 => any::<usize>().prop_map(|body| Op::Cut { body }),
        1 => (any::<usize>(), 0..2u8, prop::option::of(1..100u64))
            .prop_map(|(body, seed, last)| Op::Commit { body, seed, last }),
        1 => (0..2u8).prop_map(|seed| Op::Join { seed }),
        1 => prop::bool::weighted(0.3).prop_map(|cancel| if cancel { Op::Cancel } else { Op::Status }),
        1 => prop::bool::weighted(0.2).prop_map(|expire| if expire { Op::Expire } else { Op::Look }),
        1 => prop::bool::weighted(0.1).prop_map(|drain| if drain { Op::Drain } else { Op::Wait { millis: 1 } }),
        12 => (prop::bool::weighted(0.9), any::<bool>())
            .prop_map(|(succeeds, partly)| Op::JobEnds { succeeds, partly }),
        3 => (1..1500u64).prop_map(|millis| Op::Wait { millis }),
    ]
}

impl World {
    fn new(rules: Rules) -> Self {
        World {
            machine: Machine::new(rules, Found::default()),
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
            expired: false,
            synced: 0,
            lost: false,
            stopped: false,
            held_up: HashSet::new(),
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
                let claim = Claim { start, digest: seed.map(digest), length: None, discard_on_cut: discard };
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
                    self.held_up.remove(&epoch);
                }
            }
            Op::HeldUp { body, is_held_up } => {
                let Some(at) = self.body(body) else { return };
                let Body { epoch, ended, .. } = self.bodies[at];
                if !is_held_up {
                    self.held_up.remove(&epoch);
                } else if !ended {
                    self.held_up.insert(epoch);
                }
                self.step(Event::HeldUp { epoch, is_held_up });
            }
            Op::Finish { body } => self.end_body(body, |ticket, epoch, end| Event::Finish { ticket, epoch, end }),
            Op::Cut { body } => self.end_body(body, |ticket, epoch, _| Event::Cut { ticket, epoch }),
            Op::Commit { body, seed, last } => self.commit(body, seed, last),
            Op::Join { seed } => {
                let ticket = self.ticket("join");
                self.step(Event::Join { ticket, digest: digest(seed) });
            }
            Op::Cancel => {
                let ticket = self.ticket("cancel");
                self.step(Event::Cancel { ticket });
            }
            Op::Expire => {
                let ticket = self.ticket("expire");
                self.step(Event::Expire { ticket });
            }
            Op::Status => {
                let ticket = self.ticket("status");
                self.step(Event::Status { ticket });
            }
            Op::Look => {
                // When a policy strikes; leaving memory may be due before.
                let rules = self.machine.rules;
                self.machine.rules.passivate_after = None;
                let due = self.machine.next_look();
                self.machine.rules = rules;
                let was_open = matches!(self.machine.phase, Phase::Open);
                let is_held_up = self.machine.lease.as_ref().is_some_and(|lease| self.held_up.contains(&lease.epoch));
                self.step(Event::Look);
                let is_expiring = matches!(self.machine.phase, Phase::Expiring { .. });
                if was_open && is_expiring {
                    assert!(
                        due.is_some_and(|(at, policy)| at <= self.now && policy.is_some()),
                        "struck early: {due:?}"
                    );
                    let by_age = matches!(self.machine.phase, Phase::Expiring { policy: Policy::MaxAge, .. });
                    assert!(by_age || !is_held_up, "who waits for memory is neither idle nor slow");
                }
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

    fn commit(&mut self, body: usize, seed: u8, last: Option<u64>) {
        let Some(at) = self.body(body) else { return };
        let Body { epoch, next, ended } = self.bodies[at];
        let last = last.map(|len| {
            let ticket = self.ticket("piece");
            self.pieces.insert(ticket, (epoch, next, len));
            if !ended {
                self.bodies[at].next += len;
                self.held_up.remove(&epoch);
            }
            LastPiece { ticket, offset: next, len }
        });
        self.end_body(body, |ticket, epoch, end| Event::Commit { ticket, epoch, end, digest: digest(seed), last });
    }

    /// What becomes of a piece in the store.
    fn write(
        &mut self,
        ticket: Ticket,
        offset: u64,
        overlap: u64,
        succeeds: bool,
        partly: bool,
    ) -> Result<u64, UploadError> {
        let (_, start, len) = self.pieces[&ticket];
        assert_eq!(offset, start);
        if overlap < len {
            assert_eq!(start + overlap, self.kept, "bytes are appended where the upload ends");
        }
        if succeeds {
            self.kept = self.kept.max(start + len);
            return Ok(self.kept);
        }
        if overlap > 0 {
            return Err(UploadError::RangeMismatch { offset: self.kept });
        }
        self.kept += if partly { len / 2 } else { 0 };
        Err(fault())
    }

    fn publish(&mut self, wanted: Digest, succeeds: bool, partly: bool) -> Result<u64, UploadError> {
        match (succeeds, partly) {
            (true, _) => {
                assert!(!self.removed && !self.expired, "nothing is committed that was removed");
                self.committed = true;
                Ok(self.kept)
            }
            (false, true) => Err(UploadError::DigestMismatch { expected: wanted, actual: digest(9) }),
            (false, false) => Err(fault()),
        }
    }

    fn end_job(&mut self, succeeds: bool, partly: bool) {
        let Some(job) = self.job.take() else { return };
        let outcome = match job {
            Job::Write { ticket, offset, overlap } => {
                Outcome::Written(self.write(ticket, offset, overlap, succeeds, partly))
            }
            Job::WriteAndCommit { ticket, offset, overlap, digest } => {
                // One that fails does so in the write, or behind it.
                let is_written = succeeds || ticket % 2 == 0;
                let written = self.write(ticket, offset, overlap, is_written, partly);
                Outcome::WrittenAndCommitted(written.map(|kept| (kept, self.publish(digest, succeeds, partly))))
            }
            Job::Checkpoint | Job::MidCheckpoint | Job::Rest => {
                if succeeds {
                    self.synced = self.machine.offset();
                }
                Outcome::Checkpointed(if succeeds { Ok(()) } else { Err(fault()) })
            }
            Job::Expire(_) => {
                assert!(!self.committed, "what was committed does not expire");
                self.expired |= succeeds;
                Outcome::Expired(if succeeds { Ok(()) } else { Err(fault()) })
            }
            Job::Commit(wanted) => Outcome::Committed(self.publish(wanted, succeeds, partly)),
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
                if let Job::Write { ticket, .. } | Job::WriteAndCommit { ticket, .. } = &job {
                    let (epoch, ..) = self.pieces[ticket];
                    assert!(!self.revoked.contains(&epoch), "late bytes of an old writer are not written");
                    assert_eq!(self.lease, Some(epoch), "only who has the right writes");
                }
                self.job = Some(job);
            }
            Action::Revoke { epoch, cause } => {
                assert!(self.revoked.insert(epoch), "a right is taken away once");
                if matches!(cause, UploadError::Unknown) {
                    self.is_gone();
                }
            }
            Action::WakeAt(at) => assert!(at >= self.now),
            Action::Resumed(bytes) => assert!(bytes > 0 && bytes <= self.kept),
            Action::Stop(stop) => {
                assert!(!self.stopped, "an upload ends once");
                assert!(self.job.is_none(), "no job is left running");
                self.stopped = true;
                match stop {
                    Stop::Ended(EndReason::Committed) => assert!(self.committed),
                    Stop::Ended(EndReason::Cancelled) => assert!(self.removed),
                    Stop::Ended(EndReason::Failed) => assert!(self.removed || self.lost),
                    Stop::Ended(EndReason::Expired) => assert!(self.removed),
                    Stop::Expired(_) => assert!(self.expired && !self.committed),
                    Stop::Drained => assert!(!self.committed),
                    Stop::Passive => {
                        assert!(!self.committed && !self.removed);
                        assert!(self.open_tickets.is_empty(), "nobody is left waiting: {:?}", self.open_tickets);
                    }
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
                if self.machine.rules.sync_offsets {
                    assert!(offset <= self.synced, "what is told is synced");
                }
            }
            Answer::Committed(size) => {
                assert!(self.committed, "nobody hears of a commit before it happened");
                assert_eq!(size, self.kept);
            }
            Answer::Removed => assert!(self.removed || self.expired || asked == Some("drain")),
            Answer::Refused(UploadError::Unknown) => self.is_gone(),
            Answer::Following | Answer::Refused(_) => {}
        }
    }

    fn is_gone(&self) {
        assert!(self.removed || self.committed || self.lost, "nobody hears that it is gone before it is");
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

/// Every policy, so that each strikes now and then.
fn all_policies(sync_offsets: bool) -> Rules {
    Rules {
        passivate_after: Some(Duration::from_millis(2500)),
        checkpoint_every: 150,
        sync_offsets,
        idle_timeout: Some(Duration::from_secs(7)),
        max_age: Some(Duration::from_secs(60)),
        max_size: Some(1000),
        min_rate: Some(MinRate { bytes_per_second: 20, window: Duration::from_secs(3) }),
        ..rules()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn random_interleavings_keep_every_promise(ops in prop::collection::vec(op(), 1..80)) {
        for rules in [rules(), all_policies(false), all_policies(true)] {
            let mut world = World::new(rules);
            for op in ops.clone() {
                world.apply(op);
            }
            world.settle();
        }
    }
}

//! For `benches/micro.rs`: see `src/benching.rs`.

use std::time::Duration;

use super::Start;
use super::machine::{Action, Answer, Claim, Event, Found, Machine, Outcome, Rules, Ticket};
use super::record::Record;

/// The state machine of an upload to which one PATCH comes after the other.
#[derive(Debug)]
pub struct MachineRounds {
    machine: Machine,
    offset: u64,
    ticket: Ticket,
    now: Duration,
}

impl MachineRounds {
    /// How many steps a PATCH takes: its claim, one piece, that piece's write, the body's end and its checkpoint.
    pub const STEPS: u32 = 5;

    const PIECE_BYTES: u64 = 4096;

    /// One that begins, with a policy of each kind.
    pub fn begin() -> Self {
        let rules = Rules {
            takeover_after: Duration::from_secs(1),
            max_waiting: 8,
            passivate_after: Some(Duration::from_secs(60)),
            checkpoint_every: 64 << 20,
            sync_offsets: false,
            idle_timeout: Some(Duration::from_secs(3600)),
            max_age: Some(Duration::from_secs(24 * 3600)),
            max_size: Some(u64::MAX),
            min_rate: None,
        };
        MachineRounds { machine: Machine::new(rules, Found::default()), offset: 0, ticket: 0, now: Duration::ZERO }
    }

    /// Takes a PATCH.
    ///
    /// # Panics
    /// When it is not granted the right to write.
    pub fn patch(&mut self) {
        let claim =
            Claim { start: Start::Current, digest: None, length: Some(Self::PIECE_BYTES), discard_on_cut: false };
        let ticket = self.next_ticket();
        let granted = self.step(Event::Claim { ticket, claim });
        let epoch = granted.iter().find_map(|action| match action {
            Action::Answer(_, Answer::Granted { epoch, .. }) => Some(*epoch),
            _ => None,
        });
        let epoch = epoch.expect("nobody else writes");
        let ticket = self.next_ticket();
        self.step(Event::Piece { ticket, epoch, offset: self.offset, len: Self::PIECE_BYTES });
        self.offset += Self::PIECE_BYTES;
        self.step(Event::Done(Outcome::Written(Ok(self.offset))));
        let ticket = self.next_ticket();
        self.step(Event::Finish { ticket, epoch, end: self.offset });
        self.step(Event::Done(Outcome::Checkpointed(Ok(()))));
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.now += Duration::from_micros(10);
        self.machine.step(event, self.now)
    }

    fn next_ticket(&mut self) -> Ticket {
        self.ticket += 1;
        self.ticket
    }
}

/// An upload's record as storage keeps it.
#[derive(Debug)]
pub struct KeptRecord(Record);

impl KeptRecord {
    /// Reads one; `None` when it is none.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Record::decode(bytes).ok().map(KeptRecord)
    }

    /// What storage gets.
    pub fn write(&self) -> Vec<u8> {
        self.0.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_takes_its_steps_and_the_next_one_goes_on_behind_it() {
        let mut rounds = MachineRounds::begin();
        for number in 1..=3 {
            rounds.patch();
            assert_eq!(rounds.machine.offset(), number * MachineRounds::PIECE_BYTES);
            assert!(!rounds.machine.is_writing());
        }
        assert_eq!(rounds.now, Duration::from_micros(10) * 3 * MachineRounds::STEPS);
    }

    #[test]
    fn a_record_is_written_as_it_was_read() {
        let kept = include_bytes!("golden/record-v2");
        assert_eq!(KeptRecord::read(kept).expect("a record").write(), kept);
        assert!(KeptRecord::read(&kept[1..]).is_none());
    }
}

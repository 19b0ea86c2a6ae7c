//! The machine by itself: random interleavings against a model (`model`), the single transitions that a reader wants to
//! see (`transitions`), and what strikes when (`policies`).

mod model;
mod policies;
mod transitions;

use std::sync::Arc;

use super::*;
use crate::oci::Algorithm;
use crate::storage::{StorageError, StorageErrorKind};

const TAKEOVER: Duration = Duration::from_secs(1);

/// No policy but the take-over.
fn rules() -> Rules {
    Rules {
        takeover_after: TAKEOVER,
        max_waiting: 3,
        passivate_after: None,
        checkpoint_every: u64::MAX,
        sync_offsets: false,
        idle_timeout: None,
        max_age: None,
        max_size: None,
        min_rate: None,
    }
}

fn machine() -> Machine {
    Machine::new(rules(), Found::default())
}

fn digest(seed: u8) -> Digest {
    Digest::from_bytes(Algorithm::Sha256, &[seed; 32]).unwrap()
}

fn fault() -> UploadError {
    UploadError::Storage(Arc::new(StorageError::new(StorageErrorKind::Fault, "append", "data")))
}

fn plain_claim() -> Claim {
    Claim { start: Start::Current, digest: None, length: None, discard_on_cut: false }
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

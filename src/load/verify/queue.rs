use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::load::run::PushedBlob;
use crate::load::workloads::history::History;

/// How many blobs may wait. What is pushed beyond it is not looked at; the report tells how many were.
const MOST_WAITING: usize = 1 << 20;

/// The blobs of a target that are still to be looked at.
#[derive(Default)]
pub(in crate::load) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    blobs: VecDeque<ToVerify>,
    is_full: bool,
}

/// A blob whose push was acknowledged.
pub(in crate::load) struct ToVerify {
    pub(in crate::load) pushed: PushedBlob,
    /// What was done to push it.
    pub(in crate::load) history: History,
    pub(in crate::load) looks: Looks,
}

/// How a blob is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Looks {
    /// It is looked up: is it there, and as large as it should be?
    Up,
    /// It is pulled, and its bytes are compared.
    Compares,
}

impl Queue {
    pub(in crate::load) fn add(&self, to_verify: ToVerify) {
        let mut waiting = self.lock();
        if waiting.blobs.len() < MOST_WAITING {
            waiting.blobs.push_back(to_verify);
        } else if !waiting.is_full {
            waiting.is_full = true;
            log::warn!(blobs = MOST_WAITING; "more blobs are pushed in a turn than can be verified after it");
        }
    }

    pub(super) fn next(&self) -> Option<ToVerify> {
        self.lock().blobs.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::super::lanes::Lane;
use super::super::stream::{Stream, Work};
use super::super::{HashError, RunningDigest};
use super::queue::ReadyQueue;

/// What a thread hashes of one stream before the next one has its turn: about a tenth of a millisecond alone with SHA
/// instructions, a millisecond without. The locks around it cost less than a thousandth of that.
pub(super) const QUANTUM_BYTES: usize = 256 << 10;

/// The streams that one thread has, and as much of each as it took.
struct Hand<'a> {
    queue: &'a ReadyQueue,
    hash_pieces: &'a dyn Fn(&mut RunningDigest, &[Bytes]),
    streams: Vec<Arc<Stream>>,
    /// One for each stream, but for those that were added last.
    lanes: Vec<Lane>,
}

/// Hashes until the pool stops. A stream that comes waits for one step of those before it at most, if it finds a lane
/// free; if not, until one of them has had its quantum.
pub(super) fn run(queue: &ReadyQueue, hash_pieces: &dyn Fn(&mut RunningDigest, &[Bytes])) {
    let mut hand = Hand { queue, hash_pieces, streams: Vec::new(), lanes: Vec::new() };
    while queue.fill(&mut hand.streams) {
        hand.look_into_new_ones();
        match hand.lanes.len() {
            0 => {}
            1 => hand.hash_alone(0),
            _ => hand.step(),
        }
    }
}

impl Hand<'_> {
    fn look_into_new_ones(&mut self) {
        while let Some(stream) = self.streams.get(self.lanes.len()) {
            match stream.take(QUANTUM_BYTES) {
                Some(Work { digest, pieces }) => self.lanes.push(Lane::new(digest, pieces)),
                None => {
                    self.streams.swap_remove(self.lanes.len());
                    self.queue.give_back(1, None);
                }
            }
        }
        // The first of them only: the next turn sees to the others.
        if self.lanes.len() > 1
            && let Some(index) = self.lanes.iter().position(|lane| !lane.fits_kernels())
        {
            self.hash_alone(index);
        }
    }

    /// Hashes all that was taken of one stream.
    fn hash_alone(&mut self, index: usize) {
        let stream = self.streams.swap_remove(index);
        let mut lane = self.lanes.swap_remove(index);
        let pieces = lane.take_pieces();
        let hashed = catch_unwind(AssertUnwindSafe(|| {
            (self.hash_pieces)(&mut lane.digest, &pieces);
            lane.digest
        }));
        // Before anybody is told, since what waits for progress bounds memory by it.
        drop(pieces);
        match hashed {
            Ok(digest) => self.put_back(stream, digest),
            Err(_) => self.fail(&[stream]),
        }
    }

    /// Hashes some blocks of each stream.
    fn step(&mut self) {
        let stepped = catch_unwind(AssertUnwindSafe(|| self.queue.plan().step(&mut self.lanes)));
        if stepped.is_err() {
            self.lanes.clear();
            let streams = std::mem::take(&mut self.streams);
            self.fail(&streams);
            return;
        }
        for index in (0..self.lanes.len()).rev() {
            if self.lanes[index].is_done() {
                let digest = self.lanes.swap_remove(index).digest;
                let stream = self.streams.swap_remove(index);
                self.put_back(stream, digest);
            }
        }
    }

    fn put_back(&self, stream: Arc<Stream>, digest: RunningDigest) {
        match stream.put_back(digest) {
            true => self.queue.give_back(0, Some(stream)),
            false => self.queue.give_back(1, None),
        }
    }

    fn fail(&self, streams: &[Arc<Stream>]) {
        log::error!(uploads = streams.len(); "hashing panicked, the uploads that it was for have failed");
        for stream in streams {
            stream.end(HashError::Failed);
        }
        self.queue.give_back(streams.len(), None);
    }
}

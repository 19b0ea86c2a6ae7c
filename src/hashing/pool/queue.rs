use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::super::LanePlan;
use super::super::stream::Stream;

/// The streams that have something to be hashed, each once, in turn; and how many threads see to them.
///
/// Streams are spread over as few threads as do the work with the least effort: those that a kernel hashes together go to
/// one thread, those that are hashed alone to a thread each.
pub(super) struct ReadyQueue {
    state: Mutex<QueueState>,
    called: Condvar,
    plan: LanePlan,
    threads: usize,
}

#[derive(Default)]
struct QueueState {
    ready: VecDeque<Arc<Stream>>,
    /// Streams that threads have.
    in_hand: usize,
    /// Threads that are awake or called.
    awake: usize,
    /// Calls that no thread has heard yet.
    calls: usize,
    stopping: bool,
}

impl ReadyQueue {
    /// For so many threads, all of which are awake.
    pub(super) fn new(plan: LanePlan, threads: usize) -> Self {
        let state = QueueState { awake: threads, ..QueueState::default() };
        ReadyQueue { state: Mutex::new(state), called: Condvar::new(), plan, threads }
    }

    pub(super) fn plan(&self) -> &LanePlan {
        &self.plan
    }

    pub(super) fn push(&self, stream: Arc<Stream>) {
        let mut state = self.lock();
        state.ready.push_back(stream);
        let is_call = state.awake < self.wanted_threads(&state);
        if is_call {
            state.awake += 1;
            state.calls += 1;
        }
        drop(state);
        if is_call {
            self.called.notify_one();
        }
    }

    /// Adds to the streams that a thread has as many as are its share. Waits only when it has none. Tells whether the
    /// pool goes on.
    pub(super) fn fill(&self, hand: &mut Vec<Arc<Stream>>) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopping {
                return false;
            }
            let wanted = self.wanted_threads(&state);
            let is_one_too_many = state.awake > wanted;
            if hand.is_empty() && (state.ready.is_empty() || is_one_too_many) {
                state.awake -= 1;
                while state.calls == 0 && !state.stopping {
                    state = self.called.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.calls = state.calls.saturating_sub(1);
                continue;
            }
            if !is_one_too_many {
                self.take_share(&mut state, wanted, hand);
            }
            return true;
        }
    }

    /// Takes back what a thread had: those that are done, and those that have more to be hashed.
    pub(super) fn give_back(&self, done: usize, more: impl IntoIterator<Item = Arc<Stream>>) {
        let mut state = self.lock();
        state.in_hand -= done;
        for stream in more {
            state.in_hand -= 1;
            state.ready.push_back(stream);
        }
    }

    pub(super) fn stop(&self) {
        self.lock().stopping = true;
        self.called.notify_all();
    }

    fn take_share(&self, state: &mut QueueState, threads: usize, hand: &mut Vec<Arc<Stream>>) {
        let streams = state.ready.len() + state.in_hand;
        let share = streams.div_ceil(threads).min(self.plan.lanes());
        while hand.len() < share
            && let Some(stream) = state.ready.pop_front()
        {
            state.in_hand += 1;
            hand.push(stream);
        }
    }

    fn wanted_threads(&self, state: &QueueState) -> usize {
        self.plan.threads_for(state.ready.len() + state.in_hand).clamp(1, self.threads)
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{LaneKernel, RunningDigest};
    use super::*;
    use crate::oci::Algorithm;

    fn streams(queue: &ReadyQueue, count: usize) {
        for _ in 0..count {
            queue.push(Arc::new(Stream::new(RunningDigest::new(Algorithm::Sha256))));
        }
    }

    /// A queue of two threads, for a kernel of eight lanes that pays from two streams on.
    fn eight_lanes() -> Option<ReadyQueue> {
        Some(ReadyQueue::new(LanePlan::forced(LaneKernel::Avx2)?, 2))
    }

    fn awake(queue: &ReadyQueue) -> (usize, usize) {
        let state = queue.lock();
        (state.awake, state.calls)
    }

    #[test]
    fn one_thread_takes_all_that_it_can_hash_together() {
        let Some(queue) = eight_lanes() else { return };
        streams(&queue, 5);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        // The other one sleeps.
        queue.lock().awake = 1;
        assert!(queue.fill(&mut first));
        assert_eq!(first.len(), 5);
        streams(&queue, 2);
        assert!(queue.fill(&mut first));
        assert_eq!((first.len(), awake(&queue)), (7, (1, 0)), "those that come join");
        streams(&queue, 4);
        assert_eq!(awake(&queue), (2, 1), "eleven are too many for one thread, the other is called");
        queue.lock().calls = 0;
        assert!(queue.fill(&mut second));
        assert_eq!(second.len(), 4);
    }

    #[test]
    fn a_thread_too_many_takes_nothing_new() {
        let Some(queue) = eight_lanes() else { return };
        streams(&queue, 12);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert!(queue.fill(&mut first) && queue.fill(&mut second));
        assert_eq!((first.len(), second.len()), (6, 6));
        queue.give_back(5, []);
        first.truncate(1);
        streams(&queue, 1);
        assert!(queue.fill(&mut first));
        assert_eq!(first.len(), 1, "eight are for one thread, and two are awake");
        // It sleeps once it has none, and the other one takes all.
        queue.give_back(1, second.drain(..1));
        queue.lock().awake = 1;
        assert!(queue.fill(&mut second));
        assert_eq!(second.len(), 7);
    }

    #[test]
    fn alone_each_thread_takes_one() {
        let queue = ReadyQueue::new(LanePlan::SINGLE, 2);
        streams(&queue, 3);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        assert!(queue.fill(&mut first) && queue.fill(&mut second));
        assert_eq!((first.len(), second.len()), (1, 1));
        queue.give_back(0, first.drain(..));
        assert!(queue.fill(&mut first));
        assert_eq!(queue.lock().ready.len(), 1, "the third has its turn, and the first one waits");
    }

    #[test]
    fn a_stopped_queue_gives_nothing() {
        let queue = ReadyQueue::new(LanePlan::SINGLE, 1);
        streams(&queue, 1);
        queue.stop();
        assert!(!queue.fill(&mut Vec::new()));
    }
}

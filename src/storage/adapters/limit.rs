use std::num::NonZeroUsize;

use tokio::sync::Semaphore;

use super::Adapter;
use super::call::{Around, Call};
use crate::storage::{SharedDriver, StorageError, StorageErrorKind};

/// A driver of which at most so many calls run at once; others wait for their turn, first come, first served.
///
/// The next piece of a stream is a call. A stream or writer that nobody waits for takes no turn, so that a caller that
/// holds one while it makes another call can never wait for itself.
pub type Limit = Adapter<Turns>;

/// The turns of a [`Limit`].
#[derive(Debug)]
pub struct Turns {
    free: Semaphore,
}

impl Limit {
    /// At most `calls` at once.
    pub fn new(inner: SharedDriver, calls: NonZeroUsize) -> Self {
        let free = Semaphore::new(calls.get().min(Semaphore::MAX_PERMITS));
        Adapter::around(inner, Turns { free })
    }
}

impl Around for Turns {
    fn takes_many_at_once(&self) -> bool {
        true
    }

    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let _turn = self.free.acquire().await.map_err(|closed| {
            StorageError::with_source(StorageErrorKind::Fault, call.operation.as_str(), call.key, closed)
        })?;
        work.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::StreamExt as _;

    use super::*;
    use crate::storage::adapters::testing::{filled_memory, key, suite_passes};
    use crate::storage::adapters::{Fault, Faulty, Gate, Operation};
    use crate::storage::{Driver as _, Durability};

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes() {
        suite_passes(|memory| Arc::new(Limit::new(memory, NonZeroUsize::MIN))).await;
    }

    #[tokio::test]
    async fn no_more_calls_run_at_once() {
        let faulty = Faulty::new(filled_memory("object", 100).await);
        let gate = Gate::new();
        faulty.inject(Fault::hang(&gate).at(Operation::Stat).times(u64::MAX));
        let limit = Limit::new(Arc::new(faulty), TWO);
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let limit = limit.clone();
                tokio::spawn(async move { limit.stat(&key("object")).await.unwrap() })
            })
            .collect();
        gate.reached(2).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gate.reached_by(), 2);
        gate.release();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(gate.reached_by(), 5);
    }

    #[tokio::test]
    async fn open_streams_and_writers_take_no_turn() {
        let limit = Limit::new(filled_memory("object", 3 << 20).await, NonZeroUsize::MIN);
        let mut stream = limit.read(&key("object"), None).await.unwrap().stream;
        assert!(stream.next().await.unwrap().is_ok());
        let writer = limit.create_partial(&key("partial")).await.unwrap();
        writer.publish(&key("other"), Durability::Process).await.unwrap();
        limit.stat(&key("other")).await.unwrap();
        assert!(stream.next().await.unwrap().is_ok());
    }
}

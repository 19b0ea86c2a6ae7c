use std::time::Duration;

use super::Adapter;
use super::call::{Around, Call};
use crate::storage::{SharedDriver, StorageError, StorageErrorKind};

/// A driver none of whose calls takes longer than a time: it is dropped then, and ends as
/// [`TimedOut`](StorageErrorKind::TimedOut). The next piece of a stream is a call.
///
/// What a dropped call had begun may still happen.
pub type Deadline = Adapter<Timeout>;

/// The time that a [`Deadline`] gives.
#[derive(Debug)]
pub struct Timeout {
    timeout: Duration,
}

impl Deadline {
    /// Gives each call `timeout`.
    pub fn new(inner: SharedDriver, timeout: Duration) -> Self {
        Adapter::around(inner, Timeout { timeout })
    }
}

impl Around for Timeout {
    fn takes_many_at_once(&self) -> bool {
        true
    }

    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result,
            Err(_) => {
                let cause = format!("no answer within {:?}", self.timeout);
                Err(StorageError::with_source(StorageErrorKind::TimedOut, call.operation.as_str(), call.key, cause))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures_util::StreamExt as _;

    use super::*;
    use crate::storage::adapters::testing::{filled_memory, key, suite_passes};
    use crate::storage::adapters::{Fault, Faulty, Gate, Operation};
    use crate::storage::{Driver as _, Durability};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes() {
        suite_passes(|memory| Arc::new(Deadline::new(memory, Duration::from_secs(600)))).await;
    }

    async fn hanging_at(operation: Operation) -> Deadline {
        let faulty = Faulty::new(filled_memory("object", 3 << 20).await);
        // Nobody releases the gate.
        faulty.inject(Fault::hang(&Gate::new()).at(operation));
        Deadline::new(Arc::new(faulty), Duration::from_secs(30))
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_cut() {
        let error = hanging_at(Operation::Stat).await.stat(&key("object")).await.unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::TimedOut);
        assert_eq!(error.to_string(), "storage: stat object: timed out: no answer within 30s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_hangs_is_cut_and_has_ended() {
        let driver = hanging_at(Operation::ReadPiece).await;
        let mut stream = driver.read(&key("object"), None).await.unwrap().stream;
        assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), StorageErrorKind::TimedOut);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_hangs_is_cut() {
        for operation in [Operation::Append, Operation::Checkpoint, Operation::Rewind, Operation::Publish] {
            let driver = hanging_at(operation).await;
            let mut writer = driver.create_partial(&key("partial")).await.unwrap();
            let result = async {
                writer.append(vec![Bytes::from_static(b"x")]).await?;
                writer.checkpoint(Durability::Process).await?;
                writer.rewind(0).await?;
                writer.publish(&key("other"), Durability::Process).await
            };
            assert_eq!(result.await.unwrap_err().kind(), StorageErrorKind::TimedOut, "{operation:?}");
        }
    }
}

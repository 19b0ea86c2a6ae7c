use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;

use super::Adapter;
use super::call::{Around, Call, Operation};
use crate::storage::{SharedDriver, StorageError};
use crate::telemetry::{Metrics, StorageBytesLabels, StorageOperationLabels};

/// A driver that counts: calls by operation (failed ones too), bytes that were written by calls that succeeded, and bytes
/// that came back. Pieces of a stream count as bytes only.
pub type Meter = Adapter<Counts>;

/// The counts of a [`Meter`]: its own, and those that it shares with the metrics.
#[derive(Debug)]
pub struct Counts {
    own: [AtomicU64; Operation::ALL.len()],
    shared: [Counter; Operation::ALL.len()],
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
    shared_read_bytes: Counter,
    shared_written_bytes: Counter,
}

impl Meter {
    /// Counts into `storage_operations` and `storage_bytes` of `metrics` under the driver's name.
    pub fn new(inner: SharedDriver, metrics: &Metrics) -> Self {
        let driver = inner.name();
        let operation = |operation: Operation| {
            let labels = StorageOperationLabels { driver, operation: operation.as_str() };
            metrics.storage_operations.get_or_create(&labels).clone()
        };
        let bytes = |direction| metrics.storage_bytes.get_or_create(&StorageBytesLabels { driver, direction }).clone();
        let counts = Counts {
            own: [const { AtomicU64::new(0) }; Operation::ALL.len()],
            shared: Operation::ALL.map(operation),
            read_bytes: AtomicU64::new(0),
            written_bytes: AtomicU64::new(0),
            shared_read_bytes: bytes("read"),
            shared_written_bytes: bytes("write"),
        };
        Adapter::around(inner, counts)
    }

    /// How often `operation` was called through this meter.
    pub fn calls_of(&self, operation: Operation) -> u64 {
        self.manner().own[operation as usize].load(Ordering::Relaxed)
    }

    /// How many calls there were through this meter.
    pub fn calls(&self) -> u64 {
        Operation::ALL.into_iter().map(|operation| self.calls_of(operation)).sum()
    }

    /// How many bytes came back through this meter.
    pub fn read_bytes(&self) -> u64 {
        self.manner().read_bytes.load(Ordering::Relaxed)
    }

    /// How many bytes were written through this meter.
    pub fn written_bytes(&self) -> u64 {
        self.manner().written_bytes.load(Ordering::Relaxed)
    }
}

impl Around for Counts {
    fn takes_many_at_once(&self) -> bool {
        true
    }

    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        if call.operation != Operation::ReadPiece {
            self.own[call.operation as usize].fetch_add(1, Ordering::Relaxed);
            self.shared[call.operation as usize].inc();
        }
        let result = work.await?;
        self.written_bytes.fetch_add(call.written_bytes, Ordering::Relaxed);
        self.shared_written_bytes.inc_by(call.written_bytes);
        Ok(result)
    }

    fn received(&self, bytes: u64) {
        self.read_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.shared_read_bytes.inc_by(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use futures_util::TryStreamExt as _;

    use super::*;
    use crate::storage::adapters::testing::{filled_memory, key, suite_passes};
    use crate::storage::{Driver as _, Durability, PutMode};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes() {
        suite_passes(|memory| Arc::new(Meter::new(memory, &Metrics::unregistered()))).await;
    }

    #[tokio::test]
    async fn calls_and_bytes_are_counted_for_itself_and_for_the_metrics() {
        let metrics = Metrics::unregistered();
        let meter = Meter::new(filled_memory("object", 3 << 20).await, &metrics);
        let other = Meter::new(filled_memory("object", 10).await, &metrics);
        let stream = meter.read(&key("object"), Some(0..3_000_000)).await.unwrap().stream;
        stream.try_collect::<Vec<_>>().await.unwrap();
        meter.get(&key("object"), u64::MAX).await.unwrap();
        meter.get(&key("absent"), u64::MAX).await.unwrap_err();
        other.get(&key("object"), u64::MAX).await.unwrap();
        let data = Bytes::from_static(b"abc");
        meter.put(&key("new"), data.clone(), PutMode::Create, Durability::Process).await.unwrap();
        meter.put(&key("new"), data.clone(), PutMode::Create, Durability::Process).await.unwrap_err();
        let mut writer = meter.create_partial(&key("partial")).await.unwrap();
        writer.append(vec![data.clone(), data]).await.unwrap();
        writer.publish(&key("new"), Durability::Process).await.unwrap();
        assert_eq!(meter.calls_of(Operation::Get), 2);
        assert_eq!(meter.calls_of(Operation::Put), 2);
        assert_eq!(meter.calls(), 8);
        assert_eq!(meter.read_bytes(), 3_000_000 + (3 << 20));
        assert_eq!(meter.written_bytes(), 9);
        let labels = StorageOperationLabels { driver: "memory", operation: "get" };
        assert_eq!(metrics.storage_operations.get_or_create(&labels).get(), 3);
        let labels = StorageBytesLabels { driver: "memory", direction: "read" };
        assert_eq!(metrics.storage_bytes.get_or_create(&labels).get(), meter.read_bytes() + 10);
        let labels = StorageBytesLabels { driver: "memory", direction: "write" };
        assert_eq!(metrics.storage_bytes.get_or_create(&labels).get(), 9);
    }
}

//! Floor 1: log set-up and metric handles.

mod metrics;

pub use metrics::{
    CacheLabels, CacheResult, CacheScope, DirectionLabels, DurationLabels, EndLabels, Metrics, RequestLabels,
    StorageBytesLabels, StorageOperationLabels,
};

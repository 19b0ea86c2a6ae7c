//! Floor 1: log set-up and metric handles.

mod log;
mod metrics;

pub use log::{LogFormat, start_log};
pub use metrics::{
    CacheLabels, CacheResult, CacheScope, DirectionLabels, DurationLabels, EndLabels, Metrics, RequestLabels,
    StorageBytesLabels, StorageOperationLabels,
};

//! Floor 1: log set-up and metric handles.

mod log;
mod metrics;

pub use log::{LogFormat, change_log_levels, start_log};
pub use metrics::{
    CacheLabels, CacheResult, CacheScope, DirectionLabels, DurationLabels, EndLabels, LimitLabels, MetricHandles,
    Metrics, PolicyLabels, RequestLabels, StorageBytesLabels, StorageOperationLabels,
};

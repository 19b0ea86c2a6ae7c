use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Every metric. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics {
    handles: Arc<MetricHandles>,
}

/// Handles of every metric. Each is shared by itself, so that a clone of all of them would cost more than a request should.
pub struct MetricHandles {
    /// `longshore_http_requests_total`.
    pub http_requests: Family<RequestLabels, Counter>,
    /// `longshore_http_request_duration_seconds`.
    pub http_request_duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    /// `longshore_uploads_open`: uploads that this process knows and that have not ended.
    pub uploads_open: Gauge,
    /// `longshore_uploads_passive`: those of them that are in storage only.
    pub uploads_passive: Gauge,
    /// `longshore_uploads_kept`: expired uploads that are kept for a look.
    pub uploads_kept: Gauge,
    /// `longshore_uploads_kept_bytes`: how many bytes of data they have.
    pub uploads_kept_bytes: Gauge,
    /// `longshore_uploads_expired_total`, by policy.
    pub uploads_expired: Family<PolicyLabels, Counter>,
    /// `longshore_uploads_refused_total`, by limit.
    pub uploads_refused: Family<LimitLabels, Counter>,
    /// `longshore_upload_resumes_total`: bodies that went on with what an earlier one left that did not come to its end.
    pub upload_resumes: Counter,
    /// `longshore_upload_resumed_bytes_total`: bytes that did not have to be sent again.
    pub upload_resumed_bytes: Counter,
    /// `longshore_upload_takeovers_total`: writers that lost their right to a newcomer.
    pub upload_takeovers: Counter,
    /// `longshore_upload_passivations_total`.
    pub upload_passivations: Counter,
    /// `longshore_upload_revivals_total`.
    pub upload_revivals: Counter,
    /// `longshore_upload_checkpoint_duration_seconds`.
    pub checkpoint_duration: Histogram,
    /// `longshore_upload_commit_duration_seconds`.
    pub commit_duration: Histogram,
    /// `longshore_upload_reaper_lag_seconds`: how late an upload was looked at.
    pub reaper_lag: Histogram,
    /// `longshore_uploads_writing`: those of them that a request writes to.
    pub uploads_writing: Gauge,
    /// `longshore_uploads_ended_total`.
    pub uploads_ended: Family<EndLabels, Counter>,
    /// `longshore_hash_lanes`: how many uploads one core hashes at once at most.
    pub hash_lanes: Gauge,
    /// `longshore_blob_bytes_total`: blob bytes received (`in`) and sent (`out`).
    pub blob_bytes: Family<DirectionLabels, Counter>,
    /// `longshore_storage_operations_total`.
    pub storage_operations: Family<StorageOperationLabels, Counter>,
    /// `longshore_storage_bytes_total`.
    pub storage_bytes: Family<StorageBytesLabels, Counter>,
    /// `longshore_cache_requests_total`.
    pub cache_requests: Family<CacheLabels, Counter>,
}

/// Labels of `longshore_http_requests_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The route's name, never the path.
    pub route: &'static str,
    /// The method, `other` for unknown ones.
    pub method: &'static str,
    /// The status.
    pub status: u16,
}

/// Labels of `longshore_http_request_duration_seconds`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DurationLabels {
    /// The route's name.
    pub route: &'static str,
    /// The method, `other` for unknown ones.
    pub method: &'static str,
}

/// Why an upload ended.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct EndLabels {
    /// `committed`, `cancelled`, `expired` or `failed`.
    pub reason: &'static str,
}

/// Which policy struck.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct PolicyLabels {
    /// The name of its configuration key, or `operator`.
    pub policy: &'static str,
}

/// Which limit was reached.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct LimitLabels {
    /// The name of its configuration key.
    pub limit: &'static str,
}

/// Which way bytes went.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DirectionLabels {
    /// `in` or `out`.
    pub direction: &'static str,
}

/// Labels of `longshore_storage_operations_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StorageOperationLabels {
    /// The driver's name.
    pub driver: &'static str,
    /// The call's name.
    pub operation: &'static str,
}

/// Labels of `longshore_storage_bytes_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct StorageBytesLabels {
    /// The driver's name.
    pub driver: &'static str,
    /// `read` or `write`.
    pub direction: &'static str,
}

/// Labels of `longshore_cache_requests_total`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CacheLabels {
    /// Whose entries.
    pub scope: CacheScope,
    /// What the cache said.
    pub result: CacheResult,
}

/// Whose entries a cache request asked for.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum CacheScope {
    /// The registry's blobs, by digest: gives sizes, never access.
    registry,
    /// A repository's links: gives access.
    repository,
}

/// What the cache said.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
#[allow(non_camel_case_types)]
pub enum CacheResult {
    /// It knew.
    hit,
    /// It did not.
    miss,
}

impl Deref for Metrics {
    type Target = MetricHandles;

    fn deref(&self) -> &MetricHandles {
        &self.handles
    }
}

impl Metrics {
    /// Makes the handles and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let handles = MetricHandles {
            http_requests: Family::default(),
            http_request_duration: Family::new_with_constructor(request_duration_histogram),
            uploads_open: Gauge::default(),
            uploads_passive: Gauge::default(),
            uploads_kept: Gauge::default(),
            uploads_kept_bytes: Gauge::default(),
            uploads_expired: Family::default(),
            uploads_refused: Family::default(),
            upload_resumes: Counter::default(),
            upload_resumed_bytes: Counter::default(),
            upload_takeovers: Counter::default(),
            upload_passivations: Counter::default(),
            upload_revivals: Counter::default(),
            checkpoint_duration: storage_duration_histogram(),
            commit_duration: storage_duration_histogram(),
            reaper_lag: lag_histogram(),
            uploads_writing: Gauge::default(),
            uploads_ended: Family::default(),
            hash_lanes: Gauge::default(),
            blob_bytes: Family::default(),
            storage_operations: Family::default(),
            storage_bytes: Family::default(),
            cache_requests: Family::default(),
        };
        let metrics = Metrics { handles: Arc::new(handles) };
        let prefixed = registry.sub_registry_with_prefix("longshore");
        prefixed.register("http_requests", "Requests answered", metrics.http_requests.clone());
        prefixed.register(
            "http_request_duration_seconds",
            "Time from a request's head to the end of its answer",
            metrics.http_request_duration.clone(),
        );
        prefixed.register("uploads_open", "Uploads in progress", metrics.uploads_open.clone());
        prefixed.register("uploads_writing", "Uploads that a request writes to", metrics.uploads_writing.clone());
        prefixed.register("uploads_ended", "Uploads that ended, by reason", metrics.uploads_ended.clone());
        metrics.register_uploads(prefixed);
        prefixed.register("hash_lanes", "Uploads that one core hashes at once at most", metrics.hash_lanes.clone());
        prefixed.register("blob_bytes", "Blob bytes received and sent", metrics.blob_bytes.clone());
        prefixed.register("storage_operations", "Storage driver calls", metrics.storage_operations.clone());
        prefixed.register("storage_bytes", "Bytes read from and written to storage", metrics.storage_bytes.clone());
        prefixed.register("cache_requests", "Descriptor cache requests", metrics.cache_requests.clone());
        metrics
    }

    fn register_uploads(&self, registry: &mut Registry) {
        registry.register(
            "uploads_passive",
            "Uploads in progress that are in storage only",
            self.uploads_passive.clone(),
        );
        registry.register("uploads_kept", "Expired uploads that are kept for a look", self.uploads_kept.clone());
        registry.register("uploads_kept_bytes", "Bytes of data of those", self.uploads_kept_bytes.clone());
        registry.register("uploads_expired", "Uploads that expired, by policy", self.uploads_expired.clone());
        registry.register("uploads_refused", "Uploads and bodies refused, by limit", self.uploads_refused.clone());
        registry.register(
            "upload_resumes",
            "Bodies that went on with an interrupted upload",
            self.upload_resumes.clone(),
        );
        registry.register(
            "upload_resumed_bytes",
            "Bytes that did not have to be sent again",
            self.upload_resumed_bytes.clone(),
        );
        registry.register("upload_takeovers", "Writers that lost to a newcomer", self.upload_takeovers.clone());
        registry.register("upload_passivations", "Uploads that left memory", self.upload_passivations.clone());
        registry.register("upload_revivals", "Uploads that were found in storage again", self.upload_revivals.clone());
        registry.register(
            "upload_checkpoint_duration_seconds",
            "Time to make offset and hash state last",
            self.checkpoint_duration.clone(),
        );
        registry.register(
            "upload_commit_duration_seconds",
            "Time to verify, publish and link an upload",
            self.commit_duration.clone(),
        );
        registry.register("upload_reaper_lag_seconds", "How late uploads are looked at", self.reaper_lag.clone());
    }

    /// Counts what a limit refused.
    pub fn count_refusal(&self, limit: &'static str) {
        self.uploads_refused.get_or_create(&LimitLabels { limit }).inc();
    }

    /// Handles that nobody reads, for tests and tools.
    pub fn unregistered() -> Self {
        Metrics::register(&mut Registry::default())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn request_duration_histogram() -> Histogram {
    // From a warm HEAD (well under a millisecond) to a slow push of hours.
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        1800.0, 7200.0,
    ])
}

fn storage_duration_histogram() -> Histogram {
    // From a small file in the page cache to a disk that chokes.
    Histogram::new([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0])
}

fn lag_histogram() -> Histogram {
    Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_documented() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.uploads_ended.get_or_create(&EndLabels { reason: "committed" }).inc();
        metrics
            .cache_requests
            .get_or_create(&CacheLabels { scope: CacheScope::repository, result: CacheResult::hit })
            .inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("longshore_uploads_ended_total{reason=\"committed\"} 1"), "{text}");
        assert!(text.contains("longshore_cache_requests_total{scope=\"repository\",result=\"hit\"} 1"), "{text}");
        assert!(text.contains("longshore_uploads_open 0"), "{text}");
    }
}

//! Floor 1: configuration, one struct for each concern.
//!
//! Every struct holds checked, typed values and has its defaults in `Default`; `config/longshore.yaml`
//! explains each key. [`Config::load`] puts a file, the environment and the command line's flags over the
//! defaults, in this order, and refuses what it does not know and what contradicts itself.

mod blobs;
pub(crate) mod byte_size;
mod cache;
mod check;
mod check_uploads;
mod difference;
pub(crate) mod duration;
mod error;
pub(crate) mod fuzzing;
mod hashing;
mod http;
mod load;
mod log;
mod log_filter;
mod manifests;
mod network;
pub(crate) mod optional;
mod repository_pattern;
mod socket_addr;
mod sources;
mod storage;
mod tls;
mod tree;
mod uploads;

use serde::{Deserialize, Serialize};

pub use blobs::BlobsConfig;
pub use cache::CacheConfig;
pub use error::{ConfigError, Origin};
pub use hashing::{HashImplementation, HashLanes, HashingConfig};
pub use http::HttpConfig;
pub use log::{LogConfig, LogFormat};
pub use log_filter::{LogDirective, LogFilter, LogFilterError};
pub use manifests::ManifestsConfig;
pub use network::{IpNetwork, IpNetworkError};
pub use repository_pattern::RepositoryPattern;
pub use sources::{Setting, Sources};
pub use storage::{DirectIo, DurabilityPolicy, FilesystemConfig, MemoryConfig, StorageConfig, StorageDriver};
pub use tls::TlsConfig;
pub use uploads::{UploadsConfig, UploadsOverride};

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `http`: addresses, limits and time-outs of the servers.
    pub http: HttpConfig,
    /// `storage`: where bytes are kept.
    pub storage: StorageConfig,
    /// `manifests`: what is accepted as one.
    pub manifests: ManifestsConfig,
    /// `blobs`: how they may be shared.
    pub blobs: BlobsConfig,
    /// `cache`: descriptors kept in memory.
    pub cache: CacheConfig,
    /// `uploads`: the upload engine.
    pub uploads: UploadsConfig,
    /// `hashing`: how digests are computed.
    pub hashing: HashingConfig,
    /// `log`: what is logged and how.
    pub log: LogConfig,
}

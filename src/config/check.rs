//! What each value allows by itself and the whole does not.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Config, ConfigError, StorageDriver, check_uploads};

/// A manifest is kept in memory whole while it is received, checked and sent.
const LARGEST_MANIFEST_BYTES: u64 = 64 << 20;

/// HTTP/2 connections are probed at this rate, by a clock that is half a second coarse: a shorter time ends connections
/// whose requests are running.
const SHORTEST_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// By the same clock: a shorter time may be over when a connection begins.
const SHORTEST_HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// In less there is room for few pushes at once.
const REDO_LOG_BYTES: RangeInclusive<u64> = 8 << 20..=1 << 30;

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    check_addresses(config)?;
    check_admin_hosts(config)?;
    let keep_alive = config.http.keep_alive;
    if keep_alive > Duration::ZERO && keep_alive < SHORTEST_KEEP_ALIVE {
        return Err(ConfigError::at(
            "http.keep_alive",
            "is less than 1s; take 0 to close connections after each request",
        ));
    }
    check_not_zero(config)?;
    if config.http.head_timeout < SHORTEST_HEAD_TIMEOUT {
        return Err(ConfigError::at("http.head_timeout", "is less than 1s, in which a slow client cannot send a head"));
    }
    if config.manifests.max_size > LARGEST_MANIFEST_BYTES {
        return Err(ConfigError::at(
            "manifests.max_size",
            "is more than 64MiB, and manifests are kept in memory whole",
        ));
    }
    let needs_root = config.storage.driver == StorageDriver::Filesystem;
    if needs_root && config.storage.filesystem.root.as_os_str().is_empty() {
        return Err(ConfigError::at("storage.filesystem.root", "is empty"));
    }
    let redo_log_bytes = config.storage.filesystem.redo_log;
    if redo_log_bytes != 0 && !REDO_LOG_BYTES.contains(&redo_log_bytes) {
        return Err(ConfigError::at(
            "storage.filesystem.redo_log",
            "is neither 0, for none, nor from 8MiB to 1GiB; all of it may have to be in memory after a loss of power",
        ));
    }
    check_uploads::check(&config.uploads)
}

fn check_addresses(config: &Config) -> Result<(), ConfigError> {
    let http = &config.http;
    if http.admin_token_file.is_none() && !http.admin_addr.ip().to_canonical().is_loopback() {
        return Err(ConfigError::at(
            "http.admin_addr",
            format_args!(
                "{} can be reached from other machines; set http.admin_token_file or take a loopback address",
                http.admin_addr
            ),
        ));
    }
    if overlap(http.addr, http.admin_addr) {
        return Err(ConfigError::at(
            "http.admin_addr",
            format_args!("{} is taken by http.addr ({})", http.admin_addr, http.addr),
        ));
    }
    Ok(())
}

/// A port or a scheme with a name would never be equal to what a client asks for.
fn check_admin_hosts(config: &Config) -> Result<(), ConfigError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    for (index, host) in config.http.admin_hosts.iter().enumerate() {
        if host.is_empty() || !host.bytes().all(is_plain) {
            let problem = format_args!("{host:?} is not a host name, such as registry.example.org, without a port");
            return Err(ConfigError::at(format!("http.admin_hosts[{index}]"), problem));
        }
    }
    Ok(())
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    same_port && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn check_not_zero(config: &Config) -> Result<(), ConfigError> {
    for (key, time) in [
        ("http.head_timeout", config.http.head_timeout),
        ("http.body_timeout", config.http.body_timeout),
        ("http.disconnect_timeout", config.http.disconnect_timeout),
        ("storage.timeout", config.storage.timeout),
        ("uploads.takeover_after", config.uploads.takeover_after),
    ] {
        if time == Duration::ZERO {
            return Err(ConfigError::at(key, "is 0, which would let nothing through"));
        }
    }
    for (key, is_zero) in [
        ("storage.max_concurrent_calls", config.storage.max_concurrent_calls == 0),
        ("storage.memory.max_size", config.storage.memory.max_size == 0),
        ("manifests.max_size", config.manifests.max_size == 0),
    ] {
        if is_zero {
            return Err(ConfigError::at(key, "is 0, which would let nothing through"));
        }
    }
    Ok(())
}

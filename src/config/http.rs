use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{IpNetwork, TlsConfig, duration, socket_addr, tls};

/// `http`: addresses, limits and time-outs of the servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where the registry listens. Port 0 takes a free one.
    #[serde(with = "socket_addr")]
    pub addr: SocketAddr,
    /// Where `/livez`, `/readyz`, `/metrics` and the admin API are.
    #[serde(with = "socket_addr")]
    pub admin_addr: SocketAddr,
    /// A file with the token that the admin address asks for. Needed for an address other than loopback.
    pub admin_token_file: Option<PathBuf>,
    /// Under which host names (without a port) the admin API may be asked, beside IP addresses and `localhost`.
    pub admin_hosts: Vec<String>,
    /// Certificate and key; without them the registry speaks clear text.
    #[serde(with = "tls")]
    pub tls: Option<TlsConfig>,
    /// Whether HTTP/2 is spoken in clear text as well.
    pub h2c: bool,
    /// How many threads serve connections; 0 takes as many as there are cores.
    pub workers: usize,
    /// How many connections are open at once, over all threads; 0 takes what the limit of open files allows.
    pub max_connections: usize,
    /// How long a client may take for a request's head, and for the first byte of a connection.
    #[serde(with = "duration")]
    pub head_timeout: Duration,
    /// How long a body may bring no byte while the server is ready to read. Its connection is ended then; what came of
    /// an upload is kept.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long a connection may be idle between requests; 0 closes it after each.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// How long a connection that is being closed may take.
    #[serde(with = "duration")]
    pub disconnect_timeout: Duration,
    /// Whether `Location` is a path. Otherwise it is absolute, from `X-Forwarded-*` of a trusted proxy or `Host`.
    pub relative_urls: bool,
    /// From which peers `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<IpNetwork>,
    /// How long running requests may take after SIGTERM.
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            admin_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 5001)),
            admin_token_file: None,
            admin_hosts: Vec::new(),
            tls: None,
            h2c: true,
            workers: 0,
            max_connections: 0,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            disconnect_timeout: Duration::from_secs(5),
            relative_urls: true,
            trusted_proxies: Vec::new(),
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

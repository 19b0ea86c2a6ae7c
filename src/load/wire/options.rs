use std::path::PathBuf;
use std::time::Duration;

/// How connections to a target are made.
#[derive(Clone, Debug)]
pub struct WireOptions {
    /// The longest that a connection may take to come about, with TLS.
    pub connect_timeout: Duration,
    /// The longest that a server may be silent while it is its turn.
    pub silence_timeout: Duration,
    /// Certificates (PEM) that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// How many requests may be under way at once, and so how many connections are open; those that are silent on purpose
    /// do not count. `None`: as many as are asked for.
    pub max_connections: Option<u32>,
}

impl Default for WireOptions {
    fn default() -> Self {
        WireOptions {
            connect_timeout: Duration::from_secs(10),
            silence_timeout: Duration::from_secs(60),
            ca_file: None,
            max_connections: None,
        }
    }
}

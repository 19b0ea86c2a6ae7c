use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A registry that runs already.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetPlan {
    /// What it is called in the report.
    pub name: String,
    /// Where it is: `127.0.0.1:5000`, `https://registry.example`.
    pub address: TargetAddress,
    /// The id of its process where that is on this machine: its processor time, memory and disk use are told.
    #[serde(default)]
    pub server_pid: Option<u32>,
    /// Who pushes and pulls. `None`: nobody in particular.
    #[serde(default)]
    pub credentials: Option<Credentials>,
}

/// Who pushes and pulls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// A file whose first line is the password, so that it stands neither in a plan nor in a report.
    pub password_file: PathBuf,
}

/// Where a registry is. Without a scheme, it is plain HTTP on a loopback address or `localhost`, and TLS elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetAddress {
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// A text is no address of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressError;

impl TargetAddress {
    /// `host:port`, as a `Host` header and a client want it, with brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for TargetAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(false), rest),
            Some(("https", rest)) => (Some(true), rest),
            Some(_) => return Err(AddressError),
            None => (None, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(AddressError)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| AddressError)?;
                (host, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or(AddressError)?)
            }
            None => rest.split_once(':').unwrap_or((rest, "")),
        };
        let is_ip = host.parse::<IpAddr>().is_ok();
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
        if host.is_empty() || !(is_ip || is_name) {
            return Err(AddressError);
        }
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let tls = scheme.unwrap_or(!is_loopback);
        let port = match port {
            "" if tls => 443,
            "" => 80,
            port => port.parse().map_err(|_| AddressError)?,
        };
        Ok(TargetAddress { host: host.to_ascii_lowercase(), port, tls })
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address such as 127.0.0.1:5000 or https://registry.example")
    }
}

impl std::error::Error for AddressError {}

impl Serialize for TargetAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TargetAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?} is {error}")))
    }
}

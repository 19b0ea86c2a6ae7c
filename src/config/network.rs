use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A block of IP addresses in CIDR form (`10.0.0.0/8`, `fd00::/8`), or a single one (`10.1.2.3`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpNetworkError {
    /// It is not of the form `address` or `address/bits`.
    Malformed,
    /// There are address bits set behind the prefix, so that it is not clear what was meant.
    HostBits,
}

impl IpNetwork {
    /// Whether `address` is in the block. An IPv4 address inside IPv6 (`::ffff:a.b.c.d`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = ipv4_mask(self.prefix_bits);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = ipv6_mask(self.prefix_bits);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

fn ipv4_mask(prefix_bits: u8) -> u32 {
    u32::MAX.checked_shl(Ipv4Addr::BITS - u32::from(prefix_bits)).unwrap_or(0)
}

fn ipv6_mask(prefix_bits: u8) -> u128 {
    u128::MAX.checked_shl(Ipv6Addr::BITS - u32::from(prefix_bits)).unwrap_or(0)
}

impl FromStr for IpNetwork {
    type Err = IpNetworkError;

    fn from_str(text: &str) -> Result<Self, IpNetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| IpNetworkError::Malformed)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => widest,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| IpNetworkError::Malformed)?
            }
            Some(_) => return Err(IpNetworkError::Malformed),
        };
        if prefix_bits > widest {
            return Err(IpNetworkError::Malformed);
        }
        let has_host_bits = match address {
            IpAddr::V4(address) => address.to_bits() & !ipv4_mask(prefix_bits) != 0,
            IpAddr::V6(address) => address.to_bits() & !ipv6_mask(prefix_bits) != 0,
        };
        if has_host_bits {
            return Err(IpNetworkError::HostBits);
        }
        Ok(IpNetwork { address, prefix_bits })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl fmt::Display for IpNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpNetworkError::Malformed => "is not an IP address or a block of them, such as 10.1.2.3 or 10.0.0.0/8",
            IpNetworkError::HostBits => "has address bits set behind its prefix length",
        })
    }
}

impl Error for IpNetworkError {}

impl Serialize for IpNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?} {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<IpNetwork>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_found_in_their_blocks() {
        assert!(contains("10.0.0.0/8", "10.255.1.2"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert!(!contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "192.0.2.1"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(!contains("fd00::/8", "fe00::1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1"));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "10.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/+8", "fd00::/129", "localhost", "10.0.0.0/8/8"]
        {
            assert_eq!(text.parse::<IpNetwork>(), Err(IpNetworkError::Malformed), "{text}");
        }
        assert_eq!("10.0.0.1/8".parse::<IpNetwork>(), Err(IpNetworkError::HostBits));
    }
}

use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

/// Where a registry is: `127.0.0.1:5000`, `registry.example`, `http://registry.example:5000`.
///
/// Without a scheme it is `http` for a loopback address, else `https`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryAddress(Url);

/// Why a text is no address of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressError(String);

impl RegistryAddress {
    /// Its root.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }

    /// Host and port as credentials are filed under: the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        authority(&self.0)
    }

    /// The URL of an endpoint; `segments` are escaped.
    pub(super) fn endpoint<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.0.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v2").extend(segments);
        }
        url
    }
}

/// Sets the query of an endpoint. A space is `%20`: registries take a `+` for itself, since media types have it.
pub(super) fn set_query<'a>(url: &mut Url, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
    url.set_query(None);
    url.query_pairs_mut().extend_pairs(pairs);
    let query = url.query().filter(|query| !query.is_empty()).map(|query| query.replace('+', "%20"));
    url.set_query(query.as_deref());
}

impl FromStr for RegistryAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refused = |cause: &str| Err(AddressError(format!("registry address {text:?} {cause}")));
        let parsed = match text.contains("://") {
            true => Url::parse(text),
            false => Url::parse(&format!("http://{text}")),
        };
        let Ok(mut url) = parsed else {
            return refused("is not a host with or without a port, nor a URL");
        };
        if !text.contains("://") && !is_loopback(&url) {
            // Read again, because a port that was written out may be the other scheme's own.
            url = match Url::parse(&format!("https://{text}")) {
                Ok(url) => url,
                Err(_) => return refused("is not a host with or without a port"),
            };
        }
        if !matches!(url.scheme(), "http" | "https") {
            return refused("is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError("registry address has a user or a password in it, which are not used".to_owned()));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return refused("has more than a host and a port");
        }
        Ok(RegistryAddress(url))
    }
}

/// As a person writes it: with the scheme only where it is not what goes without saying.
impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usual = if self.is_loopback() { "http" } else { "https" };
        if self.0.scheme() != usual {
            write!(f, "{}://", self.0.scheme())?;
        }
        f.write_str(&self.authority())
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for AddressError {}

pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

/// Whether both are the same server by the same scheme.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> RegistryAddress {
        text.parse().unwrap()
    }

    #[test]
    fn plain_http_goes_without_saying_on_loopback_only() {
        for (text, url) in [
            ("127.0.0.1:5000", "http://127.0.0.1:5000/"),
            ("127.8.8.8", "http://127.8.8.8/"),
            ("[::1]:5000", "http://[::1]:5000/"),
            ("localhost:5000", "http://localhost:5000/"),
            ("registry.example", "https://registry.example/"),
            ("registry.example:80", "https://registry.example:80/"),
            ("registry.example:5000/", "https://registry.example:5000/"),
            ("localhost.example:5000", "https://localhost.example:5000/"),
            ("10.0.0.1:5000", "https://10.0.0.1:5000/"),
            ("http://registry.example", "http://registry.example/"),
            ("https://127.0.0.1:5000", "https://127.0.0.1:5000/"),
        ] {
            assert_eq!(parse(text).url().as_str(), url, "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_server_is_refused() {
        for text in [
            "",
            "http://",
            "registry.example:port",
            "registry.example/team",
            "https://registry.example/?a=b",
            "https://registry.example/#a",
            "ftp://registry.example",
            "a b",
        ] {
            assert!(text.parse::<RegistryAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let told = "https://user:secret@registry.example".parse::<RegistryAddress>().unwrap_err().to_string();
        assert!(!told.contains("secret"), "{told}");
    }

    #[test]
    fn an_address_is_shown_as_it_is_written() {
        for text in ["127.0.0.1:5000", "registry.example", "http://registry.example:5000", "https://[::1]:5000"] {
            assert_eq!(parse(text).to_string(), text);
        }
        assert_eq!(parse("https://registry.example:443").to_string(), "registry.example");
        assert_eq!(parse("https://registry.example:443").authority(), "registry.example");
    }

    #[test]
    fn endpoints_are_escaped() {
        let url = parse("registry.example").endpoint(["a", "b c", "?", "uploads", ""]);
        assert_eq!(url.as_str(), "https://registry.example/v2/a/b%20c/%3F/uploads/");
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        let url = |text| Url::parse(text).unwrap();
        let own = url("https://registry.example");
        assert!(is_same_origin(&own, &url("https://registry.example:443/x?y")));
        for other in ["http://registry.example:443", "https://registry.example:444", "https://cdn.registry.example"] {
            assert!(!is_same_origin(&own, &url(other)), "{other}");
        }
    }
}

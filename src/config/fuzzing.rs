//! What is said of the parsers here: see `src/fuzzing`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Config, ConfigError, IpNetwork, LogFilter, RepositoryPattern, Sources, UploadsConfig, byte_size, duration,
};

/// A file that is accepted says what it says when it is written again; a refusal names its cause.
pub(crate) fn file(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        is_stable(&Config::from_yaml(text));
    }
}

/// The same of variables: a line `HTTP__ADDR=…` each.
pub(crate) fn variables(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let variable = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (format!("LONGSHORE__{name}").into(), value.into())
    };
    let environment = text.lines().map(variable).collect();
    is_stable(&Config::load(&Sources { environment, ..Sources::default() }));
}

fn is_stable(loaded: &Result<Config, ConfigError>) {
    match loaded {
        Ok(config) => {
            let yaml = config.to_yaml();
            let again = Config::from_yaml(&yaml).unwrap_or_else(|error| panic!("{error} in\n{yaml}"));
            assert_eq!(again, *config);
            assert_eq!(again.to_yaml(), yaml);
            has_policies_for_all(config);
        }
        Err(error) => assert!(error.key().is_some() || error.origin().is_some(), "{error}"),
    }
}

/// What holds for one repository could be said for all; it is what the first override that fits says, and holds for
/// nobody else.
fn has_policies_for_all(config: &Config) {
    for name in ["a", "ci/cache", "library/nginx", "team/x/y-1"] {
        let repository = name.parse().expect("it is a name");
        let uploads = config.uploads.for_repository(&repository);
        assert!(uploads.overrides.is_empty(), "{name}");
        let fits = |patterns: &[RepositoryPattern]| patterns.iter().any(|pattern| pattern.matches(&repository));
        let expected = match config.uploads.overrides.iter().find(|entry| fits(&entry.repositories)) {
            Some(entry) => config.uploads.overridden_by(entry),
            None => UploadsConfig { overrides: Vec::new(), ..config.uploads.clone() },
        };
        assert_eq!(uploads, expected, "{name}");
        let alone = Config { uploads, ..config.clone() };
        assert_eq!(Config::from_yaml(&alone.to_yaml()).ok(), Some(alone), "{name}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Time(#[serde(with = "duration")] Duration);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Size(#[serde(with = "byte_size")] u64);

/// Each kind of value is printed so that it is read again as the same.
pub(crate) fn values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    serialized::<Time>(text);
    serialized::<Size>(text);
    printed::<LogFilter>(text);
    printed::<RepositoryPattern>(text);
    printed::<IpNetwork>(text);
    if let Ok(network) = text.parse::<IpNetwork>() {
        let (address, _) = text.split_once('/').unwrap_or((text, ""));
        let address = address.parse().expect("what is before the slash was an address");
        let is_mapped = matches!(address, std::net::IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        assert!(network.contains(address) || is_mapped, "{network} does not contain {address}");
    }
    if let Ok(pattern) = text.parse::<RepositoryPattern>() {
        for name in
            ["a", "library/nginx", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"]
        {
            let is_itself = text == name;
            assert!(
                pattern.matches(&name.parse().expect("it is a name")) || !is_itself,
                "{text} does not match itself"
            );
        }
    }
}

fn serialized<T: DeserializeOwned + Serialize + PartialEq + fmt::Debug>(text: &str) {
    let Ok(value) = serde_json::from_value::<T>(Value::from(text)) else { return };
    let printed = serde_json::to_value(&value).expect("a value is JSON");
    assert_eq!(serde_json::from_value::<T>(printed).ok(), Some(value), "{text:?}");
}

fn printed<T: FromStr + fmt::Display + PartialEq + fmt::Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    assert_eq!(printed.parse::<T>().ok(), Some(value), "{text:?}");
}

//! In which keys two configurations differ.

use serde_json::Value;

use super::Config;

impl Config {
    /// The full names (`uploads.max_age`) of the keys whose values differ, sorted. A list is one value.
    pub fn differences(&self, other: &Config) -> Vec<String> {
        let mut keys = Vec::new();
        compare(&tree(self), &tree(other), "", &mut keys);
        keys
    }
}

fn tree(config: &Config) -> Value {
    serde_json::to_value(config).expect("a configuration is made of plain JSON values")
}

fn compare(one: &Value, other: &Value, section: &str, keys: &mut Vec<String>) {
    let (Value::Object(ours), Value::Object(theirs)) = (one, other) else {
        if one != other {
            keys.push(section.to_owned());
        }
        return;
    };
    for (name, value) in ours {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        compare(value, theirs.get(name).unwrap_or(&Value::Null), &key, keys);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{StorageDriver, TlsConfig, UploadsOverride};

    #[test]
    fn each_key_that_differs_is_named_once() {
        let one = Config::default();
        assert!(one.differences(&one.clone()).is_empty());
        let mut other = one.clone();
        other.storage.driver = StorageDriver::Memory;
        other.storage.memory.max_size = 1;
        other.uploads.max_age = Duration::from_secs(5);
        other.uploads.overrides =
            vec![UploadsOverride { repositories: vec!["a".parse().unwrap()], ..UploadsOverride::default() }];
        other.http.tls = Some(TlsConfig { certificate_file: "c".into(), key_file: "k".into() });
        let keys = other.differences(&one);
        assert_eq!(keys, one.differences(&other));
        assert_eq!(
            keys,
            [
                "http.tls.certificate_file",
                "http.tls.key_file",
                "storage.driver",
                "storage.memory.max_size",
                "uploads.max_age",
                "uploads.overrides",
            ]
        );
    }
}

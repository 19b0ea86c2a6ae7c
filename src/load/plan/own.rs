use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::config::{DurabilityPolicy, StorageDriver};

/// How servers of the run's own are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnServersPlan {
    /// The folder in which each makes a temporary one for its data. `None`: where temporary files are.
    pub folder: Option<PathBuf>,
    /// Where the embedded registry keeps its bytes.
    pub storage: StorageDriver,
    /// What of the embedded registry survives a loss of power.
    pub durability: DurabilityPolicy,
    /// Other keys of the embedded registry's configuration and their values: `uploads.idle_timeout: 2s`.
    #[serde(deserialize_with = "texts")]
    pub settings: BTreeMap<String, String>,
}

/// Values as they are written, numbers too.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let written = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        Value::Number(number) => Ok((key, number.to_string())),
        Value::Bool(truth) => Ok((key, truth.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(de::Error::custom(format_args!("{key} has no plain value; keys are written whole, as uploads.max_age")))
        }
    };
    written.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_plain_values() {
        let read = |text: &str| serde_json::from_str::<OwnServersPlan>(text);
        let plan = read(r#"{"settings": {"uploads.idle_timeout": "2s", "uploads.max_open": 5, "x": true}}"#).unwrap();
        let expected = [("uploads.idle_timeout", "2s"), ("uploads.max_open", "5"), ("x", "true")];
        assert_eq!(plan.settings, BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned()))));
        let error = read(r#"{"settings": {"uploads": {"max_open": 5}}}"#).unwrap_err().to_string();
        assert!(error.starts_with("uploads has no plain value"), "{error}");
    }
}

use serde_json::{Map, Value};

use super::descriptor;
use crate::oci::{Digest, Manifest};

/// The entry of a manifest in the index is read again as it was; what is read is the entry that was asked for.
pub(crate) fn referrer(data: &[u8]) {
    let hex = "6d".repeat(32);
    let digest: Digest = format!("sha256:{hex}").parse().expect("it is a digest");
    if let Some(read) = descriptor::parse(data, &digest) {
        let digest_text = digest.to_string();
        assert_eq!(read.get("digest").and_then(Value::as_str), Some(digest_text.as_str()));
        if !read.values().any(has_fraction) {
            assert_eq!(descriptor::parse(&written(&read), &digest), Some(read));
        }
    }
    if let Ok(manifest) = Manifest::parse(data, None) {
        let entry = descriptor::descriptor(&digest, data.len() as u64, &manifest);
        assert_eq!(descriptor::parse(&written(&entry), &digest), Some(entry));
    }
}

/// No entry of ours has one: of what another program put there, the last digit may come out as another.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(values) => values.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}

fn written(entry: &Map<String, Value>) -> Vec<u8> {
    serde_json::to_vec(entry).expect("a map of JSON values is JSON")
}

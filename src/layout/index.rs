use std::path::Path;

use serde_json::{Map, Value, json};

use super::LayoutError;
use crate::oci::{Digest, ManifestType};

/// The annotation that names an entry: a tag, or whatever the one who wrote it took for a name.
///
/// Source: image-spec, `annotations.md`.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How many names an error tells.
const MOST_NAMES_TOLD: usize = 10;

/// One manifest that a layout's index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Its name, usually a tag.
    pub name: Option<String>,
}

/// `index.json`. What this program does not know of is kept as it is.
///
/// Source: image-spec, `image-layout.md` and `image-index.md`.
#[derive(Clone, Debug)]
pub(super) struct Index {
    document: Map<String, Value>,
    entries: Vec<IndexEntry>,
}

impl Index {
    pub(super) fn empty() -> Index {
        let document = Map::from_iter([
            ("schemaVersion".to_owned(), json!(2)),
            ("mediaType".to_owned(), json!(ManifestType::OciIndex.as_str())),
            ("manifests".to_owned(), json!([])),
        ]);
        Index { document, entries: Vec::new() }
    }

    /// Of one manifest.
    pub(super) fn of(entry: &IndexEntry) -> Index {
        let mut index = Index::empty();
        index.add(entry);
        index
    }

    /// # Errors
    /// [`LayoutError::Invalid`]. An entry with a digest that this program cannot verify is passed over.
    pub(super) fn parse(path: &Path, data: &[u8]) -> Result<Index, LayoutError> {
        let invalid = |cause: String| LayoutError::invalid(path, cause);
        let document: Map<String, Value> =
            serde_json::from_slice(data).map_err(|cause| invalid(format!("it cannot be read: {cause}")))?;
        if document.get("schemaVersion") != Some(&json!(2)) {
            return Err(invalid("schemaVersion is not 2".to_owned()));
        }
        let Some(Value::Array(manifests)) = document.get("manifests") else {
            return Err(invalid("there is no list of manifests".to_owned()));
        };
        let mut entries = Vec::new();
        for (position, manifest) in manifests.iter().enumerate() {
            let digest = manifest.get("digest").and_then(Value::as_str);
            let Some(digest) = digest else { return Err(invalid(format!("manifest {position} has no digest"))) };
            let Ok(digest) = digest.parse() else { continue };
            let Some(size_bytes) = manifest.get("size").and_then(Value::as_u64) else {
                return Err(invalid(format!("manifest {digest} has no size")));
            };
            let media_type = manifest.get("mediaType").and_then(Value::as_str).unwrap_or_default().to_owned();
            entries.push(IndexEntry { media_type, digest, size_bytes, name: name_of(manifest).map(str::to_owned) });
        }
        Ok(Index { document, entries })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.document).expect("a JSON document can be written")
    }

    pub(super) fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// The entry of a name or digest; without one, the only manifest, or the only one that has a name.
    pub(super) fn resolve(&self, asked: Option<&str>) -> Result<IndexEntry, LayoutError> {
        let candidates: Vec<&IndexEntry> = match asked {
            Some(asked) => self.entries.iter().filter(|entry| is_called(entry, asked)).collect(),
            None => {
                let named = || self.entries.iter().filter(|entry| entry.name.is_some());
                if are_one(self.entries.iter()) { self.entries.iter().collect() } else { named().collect() }
            }
        };
        match candidates.first() {
            Some(first) if are_one(candidates.iter().copied()) => Ok((*first).clone()),
            _ => Err(self.ambiguous(asked, &candidates)),
        }
    }

    fn ambiguous(&self, asked: Option<&str>, candidates: &[&IndexEntry]) -> LayoutError {
        let mut known: Vec<String> = match candidates {
            [] => self.entries.iter().filter_map(|entry| entry.name.clone()).collect(),
            several => several.iter().map(|e| e.name.clone().unwrap_or_else(|| e.digest.to_string())).collect(),
        };
        if asked.is_some() && candidates.len() > 1 {
            known = candidates.iter().map(|entry| entry.digest.to_string()).collect();
        }
        known.truncate(MOST_NAMES_TOLD);
        LayoutError::Ambiguous { asked: asked.map(str::to_owned), known, manifests: self.entries.len() }
    }

    /// Lists a manifest. A name moves to it from the manifest that had it, which stays without one.
    pub(super) fn add(&mut self, new: &IndexEntry) {
        let manifests = match self.document.entry("manifests").or_insert_with(|| json!([])) {
            Value::Array(manifests) => manifests,
            other => {
                *other = json!([]);
                other.as_array_mut().expect("it was made an array")
            }
        };
        let digest = new.digest.to_string();
        let is_new = |manifest: &Value| manifest.get("digest").and_then(Value::as_str) == Some(&digest);
        match &new.name {
            None if manifests.iter().any(is_new) => return,
            None => {}
            Some(name) => {
                if manifests.iter().any(|manifest| is_new(manifest) && name_of(manifest) == Some(name)) {
                    manifests.retain(|manifest| is_new(manifest) || name_of(manifest) != Some(name));
                    self.entries.retain(|e| e.digest == new.digest || e.name.as_deref() != Some(name));
                    return;
                }
                manifests.retain(|manifest| !(is_new(manifest) && name_of(manifest).is_none()));
                for manifest in manifests.iter_mut().filter(|manifest| name_of(manifest) == Some(name)) {
                    remove_name(manifest);
                }
                self.entries.retain(|entry| !(entry.digest == new.digest && entry.name.is_none()));
                for entry in self.entries.iter_mut().filter(|entry| entry.name.as_deref() == Some(name)) {
                    entry.name = None;
                }
            }
        }
        let mut manifest = json!({"mediaType": new.media_type, "digest": digest, "size": new.size_bytes});
        if let Some(name) = &new.name {
            manifest["annotations"] = json!({ REF_NAME: name });
        }
        manifests.push(manifest);
        self.entries.push(new.clone());
    }
}

fn name_of(manifest: &Value) -> Option<&str> {
    manifest.get("annotations")?.get(REF_NAME)?.as_str()
}

fn remove_name(manifest: &mut Value) {
    let Some(annotations) = manifest.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    annotations.remove(REF_NAME);
    if annotations.is_empty()
        && let Some(manifest) = manifest.as_object_mut()
    {
        manifest.remove("annotations");
    }
}

fn is_called(entry: &IndexEntry, asked: &str) -> bool {
    entry.name.as_deref() == Some(asked) || entry.digest.to_string() == asked
}

/// Whether all are the same manifest, and there is one.
fn are_one<'a>(mut entries: impl Iterator<Item = &'a IndexEntry>) -> bool {
    match entries.next() {
        Some(first) => entries.all(|entry| entry.digest == first.digest),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8, name: Option<&str>) -> IndexEntry {
        let digest = format!("sha256:{}", format!("{number:02x}").repeat(32)).parse().unwrap();
        let media_type = ManifestType::OciImage.as_str().to_owned();
        IndexEntry { media_type, digest, size_bytes: 7, name: name.map(str::to_owned) }
    }

    fn written(index: &Index) -> Index {
        let parsed = Index::parse(Path::new("index.json"), &index.to_bytes()).unwrap();
        assert_eq!(parsed.entries, index.entries, "what is written is what is kept");
        parsed
    }

    #[test]
    fn a_name_moves_and_leaves_what_had_it() {
        let mut index = Index::empty();
        for new in [entry(1, Some("a")), entry(1, Some("b")), entry(2, Some("a")), entry(2, Some("a"))] {
            index.add(&new);
        }
        let index = written(&index);
        assert_eq!(index.entries, [entry(1, None), entry(1, Some("b")), entry(2, Some("a"))]);
        assert_eq!(index.resolve(Some("a")).unwrap().digest, entry(2, None).digest);
        assert_eq!(index.resolve(Some(&entry(1, None).digest.to_string())).unwrap().digest, entry(1, None).digest);
    }

    #[test]
    fn a_name_takes_the_place_of_none() {
        let mut index = Index::empty();
        index.add(&entry(1, None));
        index.add(&entry(1, Some("a")));
        index.add(&entry(1, None));
        assert_eq!(written(&index).entries, [entry(1, Some("a"))]);
    }

    #[test]
    fn without_a_name_there_must_be_no_choice() {
        let mut index = Index::empty();
        assert!(index.resolve(None).is_err());
        index.add(&entry(1, None));
        assert_eq!(index.resolve(None).unwrap(), entry(1, None));
        index.add(&entry(2, Some("b")));
        assert_eq!(index.resolve(None).unwrap(), entry(2, Some("b")));
        index.add(&entry(3, Some("c")));
        let error = index.resolve(None).unwrap_err().to_string();
        assert_eq!(error, "layout lists 3 manifests, say which one; it has b, c");
        assert_eq!(index.resolve(Some("d")).unwrap_err().to_string(), "layout has no d; it has b, c");
    }

    #[test]
    fn a_name_that_stands_twice_is_no_name() {
        let twice = |other: u8| {
            let manifest = |number: u8| {
                json!({"mediaType": "", "digest": entry(number, None).digest, "size": 7,
                    "annotations": {REF_NAME: "a"}})
            };
            let document = json!({"schemaVersion": 2, "manifests": [manifest(1), manifest(other)]});
            Index::parse(Path::new("index.json"), document.to_string().as_bytes()).unwrap()
        };
        assert_eq!(twice(1).resolve(Some("a")).unwrap().digest, entry(1, None).digest);
        assert!(matches!(twice(2).resolve(Some("a")), Err(LayoutError::Ambiguous { .. })));
    }

    #[test]
    fn what_is_unknown_stays() {
        let text = r#"{"schemaVersion":2,"x":[1],"manifests":[{"digest":"blake3:ab","size":1},
            {"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0,"y":2,
             "annotations":{"org.opencontainers.image.ref.name":"a","z":"3"}}]}"#;
        let mut index = Index::parse(Path::new("i"), text.as_bytes()).unwrap();
        assert_eq!(index.entries.len(), 1);
        index.add(&entry(1, Some("a")));
        let document: Value = serde_json::from_slice(&index.to_bytes()).unwrap();
        assert_eq!(document["x"], json!([1]));
        assert_eq!(document["manifests"][0]["digest"], json!("blake3:ab"));
        assert_eq!(
            (&document["manifests"][1]["y"], &document["manifests"][1]["annotations"]),
            (&json!(2), &json!({"z": "3"}))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":1,"manifests":[]}"#,
            r#"{"schemaVersion":2,"manifests":[1]}"#,
            r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":-1}]}"#,
        ] {
            assert!(
                matches!(Index::parse(Path::new("i"), text.as_bytes()), Err(LayoutError::Invalid { .. })),
                "{text}"
            );
        }
    }
}

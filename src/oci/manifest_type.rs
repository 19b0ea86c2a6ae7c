use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::json_object::JsonObject;

/// The kinds of manifest that this registry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManifestType {
    /// An OCI image manifest.
    OciImage,
    /// An OCI image index.
    OciIndex,
    /// A Docker image manifest, version 2, schema 2.
    DockerImage,
    /// A Docker manifest list.
    DockerList,
}

impl ManifestType {
    /// Every type there is.
    pub const ALL: [ManifestType; 4] =
        [ManifestType::OciImage, ManifestType::OciIndex, ManifestType::DockerImage, ManifestType::DockerList];

    /// The media type.
    pub fn as_str(self) -> &'static str {
        match self {
            ManifestType::OciImage => "application/vnd.oci.image.manifest.v1+json",
            ManifestType::OciIndex => "application/vnd.oci.image.index.v1+json",
            ManifestType::DockerImage => "application/vnd.docker.distribution.manifest.v2+json",
            ManifestType::DockerList => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// The type that a media type without parameters names, if it is one of these. Media types are
    /// compared without regard to case.
    pub fn from_media_type(media_type: &str) -> Option<Self> {
        ManifestType::ALL.into_iter().find(|candidate| candidate.as_str().eq_ignore_ascii_case(media_type))
    }

    /// Whether it lists other manifests.
    pub fn is_index(self) -> bool {
        matches!(self, ManifestType::OciIndex | ManifestType::DockerList)
    }

    /// Whether it is one of the image-spec's, which may have a `subject`.
    pub fn is_oci(self) -> bool {
        matches!(self, ManifestType::OciImage | ManifestType::OciIndex)
    }
}

impl fmt::Display for ManifestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The media type of manifest bytes that are stored already, whoever accepted them; `None` when they are
/// no JSON object or name a type that cannot stand in a header.
///
/// It says what the bytes say: the field `mediaType`; without it, an OCI index when there are
/// `manifests`, Docker's schema 1 by its version, and an OCI image otherwise. What [`super::Manifest`]
/// accepted gets the type back that it was pushed with.
pub fn stored_media_type(data: &[u8]) -> Option<String> {
    let JsonObject(marks): JsonObject<TypeMarks> = serde_json::from_slice(data).ok()?;
    if let Some(media_type) = marks.media_type.filter(|text| !text.is_empty()) {
        return media_type.bytes().all(|byte| byte.is_ascii_graphic()).then_some(media_type);
    }
    if marks.schema_version == Some(1) {
        return Some(if is_signed(data) { SCHEMA_1_SIGNED } else { SCHEMA_1 }.to_owned());
    }
    let found = if marks.manifests.is_some() { ManifestType::OciIndex } else { ManifestType::OciImage };
    Some(found.as_str().to_owned())
}

/// Docker's first schema, which is refused.
pub(super) const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
/// The same with signatures.
pub(super) const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMarks {
    #[serde(default)]
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<IgnoredAny>,
}

/// What schema 1 has. It is read by itself: in other manifests the field means nothing, so that anything may stand
/// there, also twice.
#[derive(Deserialize)]
struct SignatureMark {
    #[serde(default)]
    signatures: Option<IgnoredAny>,
}

/// Whether a JSON object has signatures.
fn is_signed(data: &[u8]) -> bool {
    match serde_json::from_slice(data) {
        Ok(JsonObject(SignatureMark { signatures })) => signatures.is_some(),
        // It has been read before, so they are there twice.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_tell_their_type() {
        for (json, expected) in [
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#,
                Some(ManifestType::DockerImage.as_str()),
            ),
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(ManifestType::OciIndex.as_str())),
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Some(ManifestType::OciImage.as_str())),
            (r#"{"schemaVersion":1,"signatures":[{}]}"#, Some(SCHEMA_1_SIGNED)),
            (r#"{"schemaVersion":1,"signatures":1,"signatures":2}"#, Some(SCHEMA_1_SIGNED)),
            (r#"{"schemaVersion":1}"#, Some(SCHEMA_1)),
            (r#"{"signatures":1,"signatures":2,"manifests":[]}"#, Some(ManifestType::OciIndex.as_str())),
            (r#"{"mediaType":"a\nb"}"#, None),
            ("", None),
            ("[]", None),
            ("nonsense", None),
        ] {
            assert_eq!(stored_media_type(json.as_bytes()).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn a_media_type_has_no_case() {
        let shouted = ManifestType::OciIndex.as_str().to_uppercase();
        assert_eq!(ManifestType::from_media_type(&shouted), Some(ManifestType::OciIndex));
        assert_eq!(ManifestType::from_media_type("application/json"), None);
    }
}

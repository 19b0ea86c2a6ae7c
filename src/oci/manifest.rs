use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json_object::JsonObject;
use super::manifest_type::{SCHEMA_1, SCHEMA_1_SIGNED};
use super::{Descriptor, Digest, ManifestType};

/// What a registry has to know of a manifest; the bytes themselves stay as they are.
///
/// Source: image-spec, `manifest.md` and `image-index.md`; Docker's image manifest version 2, schema 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its type, which the bytes alone tell again (see [`super::stored_media_type`]).
    pub manifest_type: ManifestType,
    /// What the manifest is about, when it says so (OCI only).
    pub subject: Option<Digest>,
    /// `artifactType`; for an image without one, its config's media type.
    pub artifact_type: Option<String>,
    /// The annotations of the manifest itself.
    pub annotations: BTreeMap<String, String>,
    /// Config and layers, in the manifest's order; empty for an index.
    pub blobs: Vec<Descriptor>,
    /// The manifests of an index, in its order; empty for an image.
    pub manifests: Vec<Descriptor>,
}

/// Why bytes are not accepted as a manifest: a text for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError(String);

impl Manifest {
    /// Reads and checks a manifest. `content_type` is what the client called it, without parameters.
    ///
    /// The type is the content type, the field `mediaType` and the shape of the document, which must agree; what is
    /// missing of the first two does not matter as long as the shape tells. A Docker manifest has to have the field,
    /// since its shape is that of an OCI one.
    ///
    /// # Errors
    /// [`ManifestError`] with the reason.
    pub fn parse(data: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        let declared = content_type.map(type_named).transpose()?;
        let JsonObject(document): JsonObject<Document<'_>> =
            serde_json::from_slice(data).map_err(|cause| ManifestError::unreadable(&cause))?;
        match document.schema_version {
            Some(2) => {}
            Some(1) => return Err(ManifestError::schema_1()),
            Some(version) => return Err(ManifestError(format!("schemaVersion is {version}, not 2"))),
            None => return Err(ManifestError("there is no schemaVersion".into())),
        }
        let manifest_type = document.manifest_type(declared)?;
        if manifest_type.is_index() { document.into_index(manifest_type) } else { document.into_image(manifest_type) }
    }
}

/// The fields that matter. Raw ones are read when the type is known, so that a field which means something else
/// elsewhere does not matter.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(default)]
    schema_version: Option<u64>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default, borrow)]
    config: Option<&'a RawValue>,
    #[serde(default, borrow)]
    layers: Option<&'a RawValue>,
    #[serde(default, borrow)]
    manifests: Option<&'a RawValue>,
    #[serde(default, borrow)]
    subject: Option<&'a RawValue>,
    #[serde(default, borrow)]
    artifact_type: Option<&'a RawValue>,
    #[serde(default, borrow)]
    annotations: Option<&'a RawValue>,
}

impl Document<'_> {
    fn manifest_type(&self, declared: Option<ManifestType>) -> Result<ManifestType, ManifestError> {
        let written = self.media_type.as_deref().filter(|text| !text.is_empty()).map(type_named).transpose()?;
        let looks_like_image = self.config.is_some() || self.layers.is_some();
        let looks_like_index = self.manifests.is_some();
        let by_shape = match (looks_like_image, looks_like_index) {
            (true, true) => {
                return Err(ManifestError("it has the fields of an image and those of an index".into()));
            }
            (true, false) => Some(ManifestType::OciImage),
            (false, true) => Some(ManifestType::OciIndex),
            (false, false) => None,
        };
        if let (Some(declared), Some(written)) = (declared, written)
            && declared != written
        {
            return Err(ManifestError(format!("Content-Type is {declared}, mediaType is {written}")));
        }
        let Some(found) = written.or(by_shape) else {
            return Err(ManifestError("it has neither config and layers nor manifests".into()));
        };
        if by_shape.is_some_and(|shape| shape.is_index() != found.is_index()) {
            return Err(ManifestError(format!("mediaType is {found}, the fields are those of another type")));
        }
        match declared {
            Some(declared) if declared.is_index() != found.is_index() => {
                Err(ManifestError(format!("Content-Type is {declared}, the fields are those of another type")))
            }
            Some(declared) if declared != found => {
                Err(ManifestError(format!("Content-Type is {declared}, and the field mediaType does not say so")))
            }
            _ => Ok(found),
        }
    }

    fn into_image(self, manifest_type: ManifestType) -> Result<Manifest, ManifestError> {
        let config = field::<JsonObject<Descriptor>>("config", self.config)?;
        let JsonObject(config) = config.ok_or_else(|| ManifestError("there is no config".into()))?;
        let layers = descriptors("layers", self.layers)?;
        let common = self.common(manifest_type)?;
        let artifact_type = common.artifact_type.or_else(|| Some(config.media_type.clone()));
        let mut blobs = Vec::with_capacity(1 + layers.len());
        blobs.push(config);
        blobs.extend(layers);
        Ok(Manifest { blobs, artifact_type, ..common })
    }

    fn into_index(self, manifest_type: ManifestType) -> Result<Manifest, ManifestError> {
        let manifests = descriptors("manifests", self.manifests)?;
        Ok(Manifest { manifests, ..self.common(manifest_type)? })
    }

    fn common(&self, manifest_type: ManifestType) -> Result<Manifest, ManifestError> {
        let mut manifest = Manifest {
            manifest_type,
            subject: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            blobs: Vec::new(),
            manifests: Vec::new(),
        };
        if manifest_type.is_oci() {
            manifest.subject =
                field::<JsonObject<Descriptor>>("subject", self.subject)?.map(|JsonObject(subject)| subject.digest);
            manifest.artifact_type =
                field("artifactType", self.artifact_type)?.filter(|text: &String| !text.is_empty());
            manifest.annotations = field("annotations", self.annotations)?.unwrap_or_default();
        }
        Ok(manifest)
    }
}

impl ManifestError {
    fn schema_1() -> Self {
        ManifestError("docker schema 1 is not supported: push schema 2 or an OCI manifest".into())
    }

    fn unreadable(cause: &serde_json::Error) -> Self {
        ManifestError(format!("it cannot be read: {}", shortened(cause)))
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ManifestError {}

fn type_named(media_type: &str) -> Result<ManifestType, ManifestError> {
    if [SCHEMA_1, SCHEMA_1_SIGNED].iter().any(|refused| refused.eq_ignore_ascii_case(media_type)) {
        return Err(ManifestError::schema_1());
    }
    ManifestType::from_media_type(media_type)
        .ok_or_else(|| ManifestError(format!("media type {} is not one of a manifest", shortened(&media_type))))
}

/// A field that may be absent or `null`.
fn field<T: serde::de::DeserializeOwned>(name: &str, raw: Option<&RawValue>) -> Result<Option<T>, ManifestError> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get())
        .map_err(|cause| ManifestError(format!("{name} cannot be read: {}", shortened(&cause))))
}

/// A list of descriptors; absent is empty.
fn descriptors(name: &str, raw: Option<&RawValue>) -> Result<Vec<Descriptor>, ManifestError> {
    let listed = field::<Vec<JsonObject<Descriptor>>>(name, raw)?.unwrap_or_default();
    Ok(listed.into_iter().map(|JsonObject(descriptor)| descriptor).collect())
}

/// A client's own text in an error is cut: it may be megabytes.
fn shortened(text: &dyn fmt::Display) -> String {
    const LONGEST_CHARS: usize = 200;
    let text = text.to_string();
    match text.char_indices().nth(LONGEST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;

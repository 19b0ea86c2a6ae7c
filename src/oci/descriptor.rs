use serde::Deserialize;

use super::Digest;

/// What a manifest says of other content: its type, digest and size.
///
/// Source: image-spec, `descriptor.md`. Fields that are not needed here (`annotations`, `data`,
/// `platform` and unknown ones) are passed over.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What kind of content it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Other places to get it from; `None` when there are none.
    #[serde(default)]
    pub urls: Option<Vec<String>>,
}

impl Descriptor {
    /// Whether the registry need not have the content: a layer that may not be distributed, and that
    /// says where else it is.
    ///
    /// Source: image-spec, `layer.md`, "Non-Distributable Layers"; Docker's foreign layers.
    pub fn is_kept_elsewhere(&self) -> bool {
        let has_urls = self.urls.as_ref().is_some_and(|urls| !urls.is_empty());
        has_urls
            && (self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
                || self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign."))
    }
}

use super::text;
use crate::oci::{
    Algorithm, Digest, Manifest, ManifestType, Reference, RepositoryName, Tag, UploadId, stored_media_type,
};
use crate::storage::keys;

/// No error tells more of what a client sent.
const LONGEST_ERROR_BYTES: usize = 2048;

/// Exactly the names of the grammar are taken, as they are; each has a folder of its own below all repositories.
pub(super) fn repository_name(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let parsed = text.parse::<RepositoryName>();
    assert_eq!(parsed.is_ok(), text.len() <= 255 && text.split('/').all(is_component), "{text:?}");
    let Ok(name) = parsed else { return };
    assert_eq!(name.to_string(), text);
    assert_eq!(name.components().collect::<Vec<_>>().join("/"), text);
    assert_eq!(keys::repository(&name), keys::repositories().child(text).expect("a name is a key"));
}

/// The grammar said in another way: words between separators.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    let mut separators = text.split(is_word).filter(|run| !run.is_empty());
    text.starts_with(is_word) && text.ends_with(is_word) && separators.all(is_separator)
}

/// A tag or a digest, as it is; never both.
pub(super) fn reference(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let parsed = text.parse::<Reference>();
    assert!(text.parse::<Tag>().is_err() || text.parse::<Digest>().is_err(), "{text:?} is both");
    match parsed {
        Ok(Reference::Tag(tag)) => {
            assert_eq!(tag.to_string(), text);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            assert!((1..=128).contains(&text.len()) && text.bytes().all(is_plain), "{text:?}");
            assert!(!text.starts_with(['.', '-']), "{text:?}");
            let name: RepositoryName = "a".parse().expect("a is a name");
            assert_eq!(keys::tag(&name, &tag), keys::tags(&name).child(text).expect("a tag is a key"));
        }
        Ok(Reference::Digest(digest)) => assert_eq!(digest.to_string(), text),
        Err(error) => assert!(error.to_string().len() < LONGEST_ERROR_BYTES),
    }
}

/// A digest is its text, whichever way it is read.
pub(super) fn digest(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let parsed = text.parse::<Digest>();
    let json = serde_json::to_string(text).expect("a text is JSON");
    assert_eq!(serde_json::from_str::<Digest>(&json).ok(), parsed.clone().ok());
    let Ok(digest) = parsed else { return };
    assert_eq!(digest.to_string(), text);
    assert_eq!(Digest::from_hex(digest.algorithm(), digest.hex()), Ok(digest.clone()));
    let hex_length = match digest.algorithm() {
        Algorithm::Sha256 => 64,
        Algorithm::Sha512 => 128,
    };
    assert_eq!(digest.hex().len(), hex_length);
    assert!(digest.hex().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{text:?}");
    assert!(keys::blob_data(&digest).is_within(&keys::blobs(digest.algorithm())));
}

/// One spelling only.
pub(super) fn upload_id(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Ok(id) = text.parse::<UploadId>() else { return };
    assert_eq!(id.to_string(), text);
    assert_eq!(text.len(), 36);
    assert_eq!(u128::from_str_radix(&text.replace('-', ""), 16), Ok(id.as_u128()));
}

/// What is accepted under one content type is the same without it, and its bytes tell its type again.
///
/// The first byte chooses the content type.
pub(super) fn manifest(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    let content_type = match usize::from(*choice) % (ManifestType::ALL.len() + 2) {
        number if number < ManifestType::ALL.len() => Some(ManifestType::ALL[number].as_str()),
        number if number == ManifestType::ALL.len() => Some("application/json"),
        _ => None,
    };
    let stored = stored_media_type(data);
    assert!(stored.iter().all(|media_type| media_type.bytes().all(|byte| byte.is_ascii_graphic())), "{stored:?}");
    let manifest = match Manifest::parse(data, content_type) {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!(error.to_string().len() < LONGEST_ERROR_BYTES, "{error}");
            return;
        }
    };
    let media_type = manifest.manifest_type.as_str();
    assert_eq!(Manifest::parse(data, None).as_ref(), Ok(&manifest));
    assert_eq!(Manifest::parse(data, Some(media_type)).as_ref(), Ok(&manifest));
    let stored = stored.expect("what was accepted has a type");
    assert!(stored.eq_ignore_ascii_case(media_type), "{stored} was pushed as {media_type}");
    assert_eq!(manifest.blobs.is_empty(), manifest.manifest_type.is_index());
    assert!(manifest.manifests.is_empty() || manifest.manifest_type.is_index());
    assert!(manifest.subject.is_none() || manifest.manifest_type.is_oci());
}

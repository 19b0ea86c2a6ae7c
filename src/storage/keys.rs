//! Every key there is. Below the storage's root:
//!
//! ```text
//! docker/registry/v2/
//! ├── blobs/<alg>/<hex[0:2]>/<hex>/data                 the bytes, by digest; manifests too
//! └── repositories/<name>/
//!     ├── _layers/<alg>/<hex>/link                      gives the repository access to a blob
//!     ├── _manifests/
//!     │   ├── revisions/<alg>/<hex>/link                gives it access to a manifest
//!     │   └── tags/<tag>/
//!     │       ├── current/link                          where the tag points
//!     │       └── index/<alg>/<hex>/link                where it ever pointed
//!     ├── _referrers/                                   ours: the referrers index
//!     │   ├── subjects/<alg>-<hex>/<alg>-<hex>          a subject's referrer: its descriptor
//!     │   └── scanned/<alg>/<hex[0]>                    which revisions the index knows, a line each
//!     └── _uploads/<uuid>/
//!         ├── data                                      the partial
//!         ├── startedat                                 RFC 3339, UTC; without it the upload is unknown
//!         ├── hashstates/<alg>/<offset>                 distribution's form of a running digest
//!         └── record                                    ours: what is needed to go on
//! ```
//!
//! This is distribution's layout (its `registry/storage/paths.go`); names marked as ours are ignored
//! by it. A `link` holds `alg:hex` and nothing else.

use std::fmt::{self, Write as _};

use super::Key;
use crate::oci::{Algorithm, Digest, RepositoryName, Tag, UploadId};

const ROOT: &str = "docker/registry/v2";

/// Few keys are longer.
const USUAL_BYTES: usize = 192;

/// The folder that holds everything.
pub fn root() -> Key {
    Key::from_checked(ROOT.to_owned())
}

/// The folder that holds all repositories.
pub fn repositories() -> Key {
    key(format_args!("{ROOT}/repositories"))
}

/// The folder of one repository.
pub fn repository(name: &RepositoryName) -> Key {
    key(format_args!("{ROOT}/repositories/{name}"))
}

/// The folder of all blobs of one algorithm.
pub fn blobs(algorithm: Algorithm) -> Key {
    key(format_args!("{ROOT}/blobs/{algorithm}"))
}

/// The bytes of a blob.
pub fn blob_data(digest: &Digest) -> Key {
    let hex = digest.hex();
    key(format_args!("{ROOT}/blobs/{}/{}/{hex}/data", digest.algorithm(), &hex[..2]))
}

/// The folder of a repository's links to blobs of one algorithm.
pub fn layer_links(name: &RepositoryName, algorithm: Algorithm) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_layers/{algorithm}"))
}

/// A repository's link to a blob.
pub fn layer_link(name: &RepositoryName, digest: &Digest) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_layers/{}/{}/link", digest.algorithm(), digest.hex()))
}

/// The folder whose presence says that a repository holds manifests.
pub fn manifests(name: &RepositoryName) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests"))
}

/// The folder of a repository's manifests of one algorithm.
pub fn revisions(name: &RepositoryName, algorithm: Algorithm) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/revisions/{algorithm}"))
}

/// A repository's link to a manifest.
pub fn revision_link(name: &RepositoryName, digest: &Digest) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/revisions/{}/{}/link", digest.algorithm(), digest.hex()))
}

/// The folder of a repository's tags.
pub fn tags(name: &RepositoryName) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/tags"))
}

/// The folder of one tag.
pub fn tag(name: &RepositoryName, tag: &Tag) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/tags/{tag}"))
}

/// Where a tag points.
pub fn tag_current(name: &RepositoryName, tag: &Tag) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/tags/{tag}/current/link"))
}

/// That a tag once pointed at a manifest.
pub fn tag_index(name: &RepositoryName, tag: &Tag, digest: &Digest) -> Key {
    key(format_args!(
        "{ROOT}/repositories/{name}/_manifests/tags/{tag}/index/{}/{}/link",
        digest.algorithm(),
        digest.hex()
    ))
}

/// The folder of all manifests that a tag ever pointed at.
pub fn tag_index_folder(name: &RepositoryName, tag: &Tag) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_manifests/tags/{tag}/index"))
}

/// The folder of the referrers of one subject.
pub fn subject_referrers(name: &RepositoryName, subject: &Digest) -> Key {
    let (algorithm, hex) = (subject.algorithm(), subject.hex());
    key(format_args!("{ROOT}/repositories/{name}/_referrers/subjects/{algorithm}-{hex}"))
}

/// The descriptor of one referrer of a subject.
pub fn referrer(name: &RepositoryName, subject: &Digest, referrer: &Digest) -> Key {
    let folder = subject_referrers(name, subject);
    key(format_args!("{folder}/{}-{}", referrer.algorithm(), referrer.hex()))
}

/// Which of the revisions whose hexadecimal digest begins with `first_digit` the referrers index knows.
pub fn scanned_revisions(name: &RepositoryName, algorithm: Algorithm, first_digit: char) -> Key {
    debug_assert!(first_digit.is_ascii_hexdigit(), "{first_digit:?} is no hexadecimal digit");
    key(format_args!("{ROOT}/repositories/{name}/_referrers/scanned/{algorithm}/{first_digit}"))
}

/// The folder of our referrers index of a repository.
pub fn referrers(name: &RepositoryName) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_referrers"))
}

/// The folder of a repository's uploads.
pub fn uploads(name: &RepositoryName) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads"))
}

/// The folder of one upload.
pub fn upload(name: &RepositoryName, id: UploadId) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}"))
}

/// The partial data of an upload.
pub fn upload_data(name: &RepositoryName, id: UploadId) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}/data"))
}

/// When an upload was started; goes last when an upload is removed.
pub fn upload_started_at(name: &RepositoryName, id: UploadId) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}/startedat"))
}

/// The folder of an upload's running digests of one algorithm, in distribution's form.
pub fn upload_hash_states(name: &RepositoryName, id: UploadId, algorithm: Algorithm) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}/hashstates/{algorithm}"))
}

/// An upload's running digest after `offset` bytes, in distribution's form.
pub fn upload_hash_state(name: &RepositoryName, id: UploadId, algorithm: Algorithm, offset: u64) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}/hashstates/{algorithm}/{offset}"))
}

/// The offset that a name listed in [`upload_hash_states`] stands for; `None` when nobody who keeps to the layout
/// has written it.
pub fn hash_state_offset(name: &str) -> Option<u64> {
    let offset: u64 = name.parse().ok()?;
    // Other spellings (a sign, leading zeros) would be second names of one offset.
    (offset.to_string() == name).then_some(offset)
}

/// Our record of an upload.
pub fn upload_record(name: &RepositoryName, id: UploadId) -> Key {
    key(format_args!("{ROOT}/repositories/{name}/_uploads/{id}/record"))
}

fn key(parts: fmt::Arguments<'_>) -> Key {
    let mut text = String::with_capacity(USUAL_BYTES);
    // Writing to a string cannot fail.
    let _ = text.write_fmt(parts);
    Key::from_checked(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_distributions_to_the_letter() {
        let name: RepositoryName = "library/app".parse().unwrap();
        let hex = "ab".repeat(32);
        let digest = Digest::from_hex(Algorithm::Sha256, &hex).unwrap();
        let tag_name: Tag = "v1".parse().unwrap();
        let repository = "docker/registry/v2/repositories/library/app";
        assert_eq!(blob_data(&digest).as_str(), format!("docker/registry/v2/blobs/sha256/ab/{hex}/data"));
        assert_eq!(layer_link(&name, &digest).as_str(), format!("{repository}/_layers/sha256/{hex}/link"));
        assert_eq!(
            revision_link(&name, &digest).as_str(),
            format!("{repository}/_manifests/revisions/sha256/{hex}/link")
        );
        assert_eq!(tag_current(&name, &tag_name).as_str(), format!("{repository}/_manifests/tags/v1/current/link"));
        assert_eq!(
            tag_index(&name, &tag_name, &digest).as_str(),
            format!("{repository}/_manifests/tags/v1/index/sha256/{hex}/link")
        );
        let referrers_key = referrer(&name, &digest, &digest);
        assert_eq!(referrers_key.as_str(), format!("{repository}/_referrers/subjects/sha256-{hex}/sha256-{hex}"));
        assert!(referrers_key.is_within(&referrers(&name)));
        assert_eq!(
            scanned_revisions(&name, Algorithm::Sha512, 'a').as_str(),
            format!("{repository}/_referrers/scanned/sha512/a")
        );
        let id: UploadId = "6e5b4f5c-1f6e-4a3d-9d3e-0a1b2c3d4e5f".parse().unwrap();
        assert_eq!(upload_started_at(&name, id).as_str(), format!("{repository}/_uploads/{id}/startedat"));
        assert_eq!(upload_data(&name, id).as_str(), format!("{repository}/_uploads/{id}/data"));
        let state = upload_hash_state(&name, id, Algorithm::Sha256, 65_536);
        assert_eq!(state.as_str(), format!("{repository}/_uploads/{id}/hashstates/sha256/65536"));
        assert_eq!(state, upload_hash_states(&name, id, Algorithm::Sha256).child("65536").unwrap());
        assert!(state.is_within(&root()) && blob_data(&digest).is_within(&root()));
    }

    #[test]
    fn an_offset_has_one_name() {
        for offset in [0, 1, 65_536, u64::MAX] {
            assert_eq!(hash_state_offset(&offset.to_string()), Some(offset));
        }
        for name in ["", "+1", "-1", "01", "00", "1 ", "0x10", "1e3", "18446744073709551616", "link"] {
            assert_eq!(hash_state_offset(name), None, "{name:?}");
        }
    }
}

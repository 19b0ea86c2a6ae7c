use crate::oci::Digest;

/// What a request is about. Names of repositories count for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/v2/`
    Base,
    /// `/v2/NAME/blobs/uploads/`
    Uploads { name: &'a str },
    /// `/v2/NAME/blobs/uploads/ID`
    Upload { name: &'a str, id: u64 },
    /// `/v2/NAME/blobs/DIGEST`
    Blob { digest: &'a str },
    /// The control has no such thing.
    Other,
}

impl<'a> Target<'a> {
    pub(super) fn of(path: &'a str) -> Target<'a> {
        if matches!(path, "/v2/" | "/v2") {
            return Target::Base;
        }
        let Some((name, rest)) = path.strip_prefix("/v2/").and_then(|path| path.rsplit_once("/blobs/")) else {
            return Target::Other;
        };
        match rest.strip_prefix("uploads") {
            Some("" | "/") => Target::Uploads { name },
            Some(id) => match id.strip_prefix('/').and_then(|id| id.parse().ok()) {
                Some(id) => Target::Upload { name, id },
                None => Target::Other,
            },
            None => Target::Blob { digest: rest },
        }
    }
}

/// The digest in a query; `None` when there is none.
///
/// # Errors
/// When it is no digest.
pub(super) fn digest_of(query: &str) -> Option<Result<Digest, ()>> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("digest="))?;
    Some(parse_digest(value))
}

/// A digest as it stands in a path or a query, where its colon may be escaped.
pub(super) fn parse_digest(text: &str) -> Result<Digest, ()> {
    match text.split_once("%3A").or_else(|| text.split_once("%3a")) {
        Some((algorithm, hex)) => format!("{algorithm}:{hex}").parse().map_err(drop),
        None => text.parse().map_err(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood() {
        for (path, expected) in [
            ("/v2/", Target::Base),
            ("/v2", Target::Base),
            ("/v2/a/b/blobs/uploads/", Target::Uploads { name: "a/b" }),
            ("/v2/a/blobs/uploads", Target::Uploads { name: "a" }),
            ("/v2/a/blobs/uploads/17", Target::Upload { name: "a", id: 17 }),
            ("/v2/a/blobs/uploads/x", Target::Other),
            ("/v2/a/blobs/blobs/sha256:12", Target::Blob { digest: "sha256:12" }),
            ("/v2/a/manifests/latest", Target::Other),
            ("/", Target::Other),
            ("", Target::Other),
        ] {
            assert_eq!(Target::of(path), expected, "{path}");
        }
    }

    #[test]
    fn digests_are_found_escaped_or_not() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Digest = format!("sha256:{hex}").parse().unwrap();
        for query in [format!("digest=sha256:{hex}"), format!("_state=x&digest=sha256%3A{hex}&y=1")] {
            assert_eq!(digest_of(&query), Some(Ok(digest.clone())), "{query}");
        }
        assert_eq!(digest_of("mount=sha256:12"), None);
        assert_eq!(digest_of("digest=sha256:12"), Some(Err(())));
    }
}

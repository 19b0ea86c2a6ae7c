use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::address::RegistryAddress;
use crate::oci::{Digest, Reference, RepositoryName, Tag};

/// What a person names an image by: `registry.example:5000/team/app:1.0`, `127.0.0.1:5000/app@sha256:…`.
///
/// The registry is always named: there is none that goes without saying. It may have a scheme (`http://…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    /// The registry.
    pub registry: RegistryAddress,
    /// The repository there.
    pub repository: RepositoryName,
    /// The tag, if there is one.
    pub tag: Option<Tag>,
    /// The digest, if there is one; beside a tag it is what counts.
    pub digest: Option<Digest>,
}

/// Why a text is no image reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReferenceError(String);

impl ImageReference {
    /// What to ask the registry for: the digest, else the tag, else `latest`.
    pub fn reference(&self) -> Reference {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => Reference::Digest(digest.clone()),
            (None, Some(tag)) => Reference::Tag(tag.clone()),
            (None, None) => Reference::Tag("latest".parse().expect("it is a tag")),
        }
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        let refused = |cause: &dyn fmt::Display| ImageReferenceError(format!("image reference {text:?}: {cause}"));
        let scheme_length = text.find("://").map_or(0, |at| at + 3);
        let Some((registry, path)) = text[scheme_length..].split_once('/') else {
            return Err(refused(&"it is not <registry>/<repository>[:<tag>][@<digest>]"));
        };
        // `team/app` is no host: a host has a dot or a port, or is this machine.
        let is_host = scheme_length > 0 || registry.contains(['.', ':']) || registry == "localhost";
        if !is_host {
            return Err(refused(&format_args!("{registry:?} is no registry; name it, as in registry.example/{path}")));
        }
        let registry = format!("{}{registry}", &text[..scheme_length]).parse().map_err(|error| refused(&error))?;
        let (path, digest) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest.parse().map_err(|error| refused(&error))?)),
            None => (path, None),
        };
        let (name, tag) = match path.split_once(':') {
            Some((name, tag)) => (name, Some(tag.parse().map_err(|error| refused(&error))?)),
            None => (path, None),
        };
        let repository = name.parse().map_err(|error| refused(&error))?;
        Ok(ImageReference { registry, repository, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ImageReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for ImageReferenceError {}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_part_is_found() {
        for text in [
            "127.0.0.1:5000/a".to_owned(),
            "localhost/a/b:v1".to_owned(),
            "registry.example/team/app:1.0".to_owned(),
            format!("registry.example:5000/app@{DIGEST}"),
            format!("[::1]:5000/app:v1@{DIGEST}"),
            format!("http://registry.example:5000/app:v1@{DIGEST}"),
            "http://registry/app".to_owned(),
        ] {
            let parsed: ImageReference = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.digest.is_some(), text.contains('@'));
            assert_eq!(parsed.tag.is_some(), text.contains(":v1") || text.contains(":1.0"), "{text}");
        }
    }

    #[test]
    fn the_digest_counts_then_the_tag_then_latest() {
        let reference = |text: &str| text.parse::<ImageReference>().unwrap().reference().to_string();
        assert_eq!(reference(&format!("localhost/a:v1@{DIGEST}")), DIGEST);
        assert_eq!(reference("localhost/a:v1"), "v1");
        assert_eq!(reference("localhost/a"), "latest");
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in [
            "",
            "app",
            "team/app",
            "registry.example",
            "registry.example/",
            "registry.example/App",
            "registry.example/app:",
            "registry.example/app@",
            "registry.example/app@sha256:ab",
            "registry.example/app:a:b",
            "registry.example//app",
            "http://user:secret@registry.example/app",
            "registry.example:port/app",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}

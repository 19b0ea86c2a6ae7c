//! What can be copied from and to: `registry.example/app:v1`, `oci:folder:v1`, `oci-archive:image.tar:v1`.

use std::path::PathBuf;

use longshore::client::ImageReference;
use longshore::oci::Tag;

use super::arguments::RegistryArguments;
use super::connect::parse_reference;
use super::outcome::Problem;

/// One end of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Place {
    Registry(ImageReference),
    Folder(Named),
    Archive(Named),
}

/// Something in a layout.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Named {
    pub(in crate::cli) path: PathBuf,
    pub(in crate::cli) tag: Option<Tag>,
}

impl Place {
    pub(in crate::cli) fn parse(text: &str, arguments: &RegistryArguments) -> Result<Place, Problem> {
        let place = match (text.strip_prefix("oci:"), text.strip_prefix("oci-archive:")) {
            (Some(rest), _) => Place::Folder(Named::parse(rest)),
            (_, Some(rest)) => Place::Archive(Named::parse(rest)),
            _ => Place::Registry(parse_reference(text, arguments)?),
        };
        match &place {
            Place::Folder(named) | Place::Archive(named) if named.path.as_os_str().is_empty() => {
                Err(Problem::Usage(format!("{text:?} names no path")))
            }
            _ => Ok(place),
        }
    }

    pub(in crate::cli) fn tag(&self) -> Option<&Tag> {
        match self {
            Place::Registry(reference) => reference.tag.as_ref(),
            Place::Folder(named) | Place::Archive(named) => named.tag.as_ref(),
        }
    }
}

impl Named {
    /// What stands after the last colon is a tag if it can be one; a path may have colons too.
    fn parse(text: &str) -> Named {
        let parts = text.rsplit_once(':').and_then(|(path, tag)| Some((path, tag.parse().ok()?)));
        match parts {
            Some((path, tag)) => Named { path: path.into(), tag: Some(tag) },
            None => Named { path: text.into(), tag: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_is_a_path_and_maybe_a_tag() {
        for (text, path, tag) in [
            ("image", "image", None),
            ("image:v1", "image", Some("v1")),
            ("/a:b/c", "/a:b/c", None),
            ("/a:b/c:v1", "/a:b/c", Some("v1")),
            ("a.tar:", "a.tar:", None),
        ] {
            let expected = Named { path: path.into(), tag: tag.map(|tag| tag.parse().unwrap()) };
            assert_eq!(Named::parse(text), expected, "{text}");
        }
    }
}

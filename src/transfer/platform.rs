use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// What an image runs on: `linux/amd64`, `linux/arm/v7`.
///
/// Source: image-spec, `image-index.md`, "platform"; the names are Go's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The processor.
    pub architecture: String,
    /// Which of its kinds, where that matters.
    #[serde(default)]
    pub variant: Option<String>,
}

/// The text names no platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError;

impl Platform {
    /// Whether an image for `offered` is what was asked for: without a variant, any will do.
    pub fn takes(&self, offered: &Platform) -> bool {
        self.os == offered.os && self.architecture == offered.architecture && self.takes_variant(offered)
    }

    fn takes_variant(&self, offered: &Platform) -> bool {
        match (&self.variant, &offered.variant) {
            (None, _) => true,
            (Some(asked), Some(offered)) => asked == offered,
            // The first kind of this processor goes without saying.
            (Some(asked), None) => self.architecture == "arm64" && asked == "v8",
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(PlatformError),
        };
        if parts.iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(PlatformError);
        }
        let architecture = match architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let (os, architecture, variant) = (os.to_owned(), architecture.to_owned(), variant.map(str::to_owned));
        Ok(Platform { os, architecture, variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("platform is not of the form os/architecture or os/architecture/variant")
    }
}

impl Error for PlatformError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn a_platform_takes_what_fits() {
        for (asked, offered, takes) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/x86_64", "linux/amd64", true),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm/v7", "linux/arm", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/aarch64", "linux/arm64/v8", true),
        ] {
            assert_eq!(platform(asked).takes(&platform(offered)), takes, "{asked} {offered}");
        }
    }

    #[test]
    fn nonsense_is_no_platform() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"] {
            assert_eq!(text.parse::<Platform>(), Err(PlatformError), "{text}");
        }
    }
}

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Algorithm;
use super::hex::push_hex;

/// The digest of some content: an algorithm and its lower-case hexadecimal value, `sha256:<64 hex>`.
///
/// Clones share the text.
///
/// Source: image-spec, `descriptor.md`, "Digests".
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    /// The whole, `algorithm:hex`.
    text: Arc<str>,
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestError {
    /// There is no `algorithm:hex` form.
    Malformed,
    /// The form is right, and the algorithm is none that this registry verifies.
    UnsupportedAlgorithm,
    /// The hexadecimal part has the wrong length or a wrong character.
    InvalidHex,
}

impl Digest {
    /// Makes a digest of the raw bytes of a hash value.
    ///
    /// # Errors
    /// [`DigestError::InvalidHex`] when `value` has not the length of the algorithm's hash.
    pub fn from_bytes(algorithm: Algorithm, value: &[u8]) -> Result<Self, DigestError> {
        if value.len() * 2 != algorithm.hex_len() {
            return Err(DigestError::InvalidHex);
        }
        let mut text = String::with_capacity(algorithm.as_str().len() + 1 + algorithm.hex_len());
        text.push_str(algorithm.as_str());
        text.push(':');
        push_hex(&mut text, value);
        Ok(Digest { algorithm, text: text.into() })
    }

    /// Makes a digest of an algorithm and its hexadecimal value.
    ///
    /// # Errors
    /// [`DigestError::InvalidHex`] when `hex` is not lower-case hexadecimal of the right length.
    pub fn from_hex(algorithm: Algorithm, hex: &str) -> Result<Self, DigestError> {
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(is_lower_hex) {
            return Err(DigestError::InvalidHex);
        }
        let text = [algorithm.as_str(), ":", hex].concat();
        Ok(Digest { algorithm, text: text.into() })
    }

    /// The algorithm that made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal part, without the algorithm.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// The whole: `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(DigestError::Malformed)?;
        if !is_algorithm_name(algorithm) || hex.is_empty() {
            return Err(DigestError::Malformed);
        }
        Digest::from_hex(algorithm.parse()?, hex)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DigestError::Malformed => "digest is not of the form algorithm:hex",
            DigestError::UnsupportedAlgorithm => "digest algorithm is not supported, use sha256 or sha512",
            DigestError::InvalidHex => "digest has a hexadecimal part of the wrong length or with a wrong character",
        })
    }
}

impl Error for DigestError {}

/// `algorithm-component [algorithm-separator algorithm-component]*` of the image-spec's grammar.
fn is_algorithm_name(text: &str) -> bool {
    text.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_keeps_its_text() {
        let digest: Digest = EMPTY.parse().unwrap();
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(digest.algorithm(), Algorithm::Sha256);
    }

    #[test]
    fn malformed_digests_are_refused_with_the_cause() {
        for (text, cause) in [
            ("", DigestError::Malformed),
            ("sha256", DigestError::Malformed),
            ("sha256:", DigestError::Malformed),
            ("SHA256:ab", DigestError::Malformed),
            (":ab", DigestError::Malformed),
            ("sha256:ab", DigestError::InvalidHex),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", DigestError::UnsupportedAlgorithm),
            (&EMPTY.to_uppercase().replace("SHA256", "sha256"), DigestError::InvalidHex),
            (&EMPTY.replace("sha256", "sha512"), DigestError::InvalidHex),
            ("sha256:../../../../../../../../../../../../../../../../../../../etc/pas", DigestError::InvalidHex),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(cause), "{text}");
        }
    }
}

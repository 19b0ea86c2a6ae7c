use std::error::Error;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The id of one upload, a random UUID in its lower-case hyphenated form, as distribution names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UploadId(Uuid);

/// The text is not a UUID in its lower-case hyphenated form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadIdError;

impl UploadId {
    /// A new id that nobody can guess (122 random bits).
    pub fn random() -> Self {
        UploadId(Uuid::new_v4())
    }

    /// The id as a number, for spreading uploads over threads.
    pub fn as_u128(self) -> u128 {
        self.0.as_u128()
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<Self, UploadIdError> {
        let id = UploadId(Uuid::try_parse(text).map_err(|_| UploadIdError)?);
        // Other spellings (braces, upper case, no hyphens) would be second names of one folder.
        if id.to_string() != text {
            return Err(UploadIdError);
        }
        Ok(id)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Display for UploadIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("upload id is not a lower-case hyphenated UUID")
    }
}

impl Error for UploadIdError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_names_an_upload() {
        let id = UploadId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in
            ["", "..", "a", &id.to_string().to_uppercase(), &id.to_string().replace('-', ""), &format!("{{{id}}}")]
        {
            assert_eq!(text.parse::<UploadId>(), Err(UploadIdError), "{text}");
        }
    }
}

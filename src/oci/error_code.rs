use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The closed list of error codes that a response may carry.
///
/// Source: distribution-spec, "Error Codes" (code-1 to code-14), and `UNKNOWN`, which registries
/// answer with when the fault is their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The blob is not known to this repository.
    BlobUnknown,
    /// The upload cannot go on as asked.
    BlobUploadInvalid,
    /// There is no such upload in this repository.
    BlobUploadUnknown,
    /// The digest is malformed, unsupported or not that of the content.
    DigestInvalid,
    /// The manifest names content that the repository does not have.
    ManifestBlobUnknown,
    /// The manifest is not one, or too large.
    ManifestInvalid,
    /// The manifest is not known to this repository.
    ManifestUnknown,
    /// The repository's name is refused.
    NameInvalid,
    /// The repository is not known.
    NameUnknown,
    /// The length is not what was said, or over a limit.
    SizeInvalid,
    /// Who asks must say who they are.
    Unauthorized,
    /// Who asks may not.
    Denied,
    /// The operation is not offered.
    Unsupported,
    /// Too much at once; try again later.
    TooManyRequests,
    /// The registry's own fault.
    Unknown,
}

/// The text is none of the codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCodeError;

impl ErrorCode {
    /// Every code there is.
    pub const ALL: [ErrorCode; 15] = [
        ErrorCode::BlobUnknown,
        ErrorCode::BlobUploadInvalid,
        ErrorCode::BlobUploadUnknown,
        ErrorCode::DigestInvalid,
        ErrorCode::ManifestBlobUnknown,
        ErrorCode::ManifestInvalid,
        ErrorCode::ManifestUnknown,
        ErrorCode::NameInvalid,
        ErrorCode::NameUnknown,
        ErrorCode::SizeInvalid,
        ErrorCode::Unauthorized,
        ErrorCode::Denied,
        ErrorCode::Unsupported,
        ErrorCode::TooManyRequests,
        ErrorCode::Unknown,
    ];

    /// The code as it stands in a response's body.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The message that goes with the code where nothing better is known.
    pub fn message(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            ErrorCode::BlobUnknown => ("BLOB_UNKNOWN", "blob unknown to registry"),
            ErrorCode::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", "blob upload invalid"),
            ErrorCode::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
            ErrorCode::DigestInvalid => ("DIGEST_INVALID", "provided digest did not match uploaded content"),
            ErrorCode::ManifestBlobUnknown => {
                ("MANIFEST_BLOB_UNKNOWN", "manifest references a manifest or blob unknown to registry")
            }
            ErrorCode::ManifestInvalid => ("MANIFEST_INVALID", "manifest invalid"),
            ErrorCode::ManifestUnknown => ("MANIFEST_UNKNOWN", "manifest unknown to registry"),
            ErrorCode::NameInvalid => ("NAME_INVALID", "invalid repository name"),
            ErrorCode::NameUnknown => ("NAME_UNKNOWN", "repository name not known to registry"),
            ErrorCode::SizeInvalid => ("SIZE_INVALID", "provided length did not match content length"),
            ErrorCode::Unauthorized => ("UNAUTHORIZED", "authentication required"),
            ErrorCode::Denied => ("DENIED", "requested access to the resource is denied"),
            ErrorCode::Unsupported => ("UNSUPPORTED", "the operation is unsupported"),
            ErrorCode::TooManyRequests => ("TOOMANYREQUESTS", "too many requests"),
            ErrorCode::Unknown => ("UNKNOWN", "the registry failed to answer, try again"),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ErrorCode {
    type Err = ErrorCodeError;

    fn from_str(text: &str) -> Result<Self, ErrorCodeError> {
        ErrorCode::ALL.into_iter().find(|code| code.as_str() == text).ok_or(ErrorCodeError)
    }
}

impl fmt::Display for ErrorCodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("code is none of the distribution specification's")
    }
}

impl Error for ErrorCodeError {}

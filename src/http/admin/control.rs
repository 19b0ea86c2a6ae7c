//! What the admin API needs of whoever runs the uploads.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;

use crate::oci::{RepositoryName, UploadId};
use crate::upload::{ListUploads, ScanReport, UploadPage, UploadView};

/// Sees and steers uploads, scans and the configuration, for an operator.
#[async_trait]
pub trait UploadControl: Send + Sync {
    /// A page of the uploads there are, live and kept ones.
    ///
    /// # Errors
    /// [`ControlError::BadToken`] when `after` is the `next` of no page.
    async fn list(&self, request: ListUploads) -> Result<UploadPage, ControlError>;

    /// The uploads with this id, of one repository or of all: none, one, or in theory several.
    ///
    /// # Errors
    /// [`ControlError::Failed`].
    async fn find(&self, id: UploadId, repository: Option<RepositoryName>) -> Result<Vec<UploadView>, ControlError>;

    /// Ends an upload as its client's DELETE does; of an expired one, removes what is kept.
    ///
    /// # Errors
    /// [`ControlError::Unknown`], and [`ControlError::Busy`] while it is committed.
    async fn cancel(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError>;

    /// Makes an upload expire now, with the operator as the reason.
    ///
    /// # Errors
    /// [`ControlError::Unknown`], [`ControlError::Busy`] while it is committed, and [`ControlError::Refused`] when it
    /// has expired before.
    async fn expire(&self, repository: &RepositoryName, id: UploadId) -> Result<(), ControlError>;

    /// Begins to look through the storage; does not wait for its end.
    ///
    /// # Errors
    /// [`ControlError::Busy`] while a scan runs.
    async fn scan(&self, dry_run: bool) -> Result<(), ControlError>;

    /// The scan that runs, or the last.
    fn scan_report(&self) -> ScanReport;

    /// Reads the configuration again and puts in force what can change in a running process.
    ///
    /// # Errors
    /// [`ControlError::Refused`] when it is wrong, or there is nothing to read it from; then nothing has changed.
    async fn reload(&self) -> Result<Reloaded, ControlError>;
}

/// What a reload of the configuration did: full names of keys, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Those whose new values are in force now.
    pub changed: Vec<String>,
    /// Those that differ from what the process was started with, and take effect when it is started again.
    pub needs_restart: Vec<String>,
}

/// Why an operator's wish was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlError {
    /// There is no such upload.
    Unknown,
    /// Something else must end first: a commit, or a running scan.
    Busy,
    /// The `after` of a list was given out by no page.
    BadToken,
    /// It cannot be done as asked; the text says why, to the operator.
    Refused(String),
    /// The registry's own fault; the text is for the log.
    Failed(String),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::Unknown => f.write_str("there is no such upload"),
            ControlError::Busy => f.write_str("something else that must end first is running, try again"),
            ControlError::BadToken => f.write_str("page token was given out by no page"),
            ControlError::Refused(cause) => f.write_str(cause),
            ControlError::Failed(cause) => write!(f, "registry failed: {cause}"),
        }
    }
}

impl Error for ControlError {}

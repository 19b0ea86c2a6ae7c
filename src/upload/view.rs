//! What an operator gets to see of uploads, and how to ask for it.

use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use crate::oci::{RepositoryName, UploadId};

/// What makes an upload expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// No byte came for `uploads.idle_timeout`.
    IdleTimeout,
    /// Its body came slower than `uploads.min_rate`.
    MinRate,
    /// It is older than `uploads.max_age`.
    MaxAge,
    /// It became larger than `uploads.max_size`.
    MaxSize,
    /// An operator said so.
    Operator,
}

impl Policy {
    /// All there are.
    pub const ALL: [Policy; 5] =
        [Policy::IdleTimeout, Policy::MinRate, Policy::MaxAge, Policy::MaxSize, Policy::Operator];

    /// The name of its configuration key, or `operator`.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::IdleTimeout => "idle_timeout",
            Policy::MinRate => "min_rate",
            Policy::MaxAge => "max_age",
            Policy::MaxSize => "max_size",
            Policy::Operator => "operator",
        }
    }

    /// The policy of this name.
    pub fn parse(text: &str) -> Option<Policy> {
        Policy::ALL.into_iter().find(|policy| policy.as_str() == text)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an upload is, to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UploadState {
    /// A request writes to it.
    Writing,
    /// It is being verified and published.
    Committing,
    /// Nobody writes, and it is in memory.
    Open,
    /// Nobody writes, and it is in storage only.
    Passive,
    /// It expired and is kept for a look.
    Expired,
}

impl UploadState {
    /// All there are.
    pub const ALL: [UploadState; 5] =
        [UploadState::Writing, UploadState::Committing, UploadState::Open, UploadState::Passive, UploadState::Expired];

    /// Its name: `writing`, `committing`, `open`, `passive`, `expired`.
    pub fn as_str(self) -> &'static str {
        match self {
            UploadState::Writing => "writing",
            UploadState::Committing => "committing",
            UploadState::Open => "open",
            UploadState::Passive => "passive",
            UploadState::Expired => "expired",
        }
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<UploadState> {
        UploadState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One upload, as an operator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadView {
    /// Whose it is.
    pub repository: RepositoryName,
    /// Its id.
    pub id: UploadId,
    /// How it is.
    pub state: UploadState,
    /// How many bytes are kept (for an expired one: were, when it expired).
    pub offset: u64,
    /// When it was started.
    pub started_at: SystemTime,
    /// When its last byte came, or it was started.
    pub progress_at: SystemTime,
    /// How fast bytes come now, in bytes a second, over about the last ten seconds.
    pub rate: u64,
    /// Who started it, or wrote to it last.
    pub client: Option<IpAddr>,
    /// When it will expire if nothing comes, or when what is kept of it goes, and why.
    pub deadline: Option<(SystemTime, Policy)>,
    /// For an expired one: when and why, and how many bytes of it are still kept.
    pub expired: Option<ExpiredView>,
}

/// How an upload expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiredView {
    /// When.
    pub at: SystemTime,
    /// Why.
    pub policy: Policy,
    /// Until when it is kept.
    pub kept_until: SystemTime,
    /// How many bytes of data are still kept, for a look.
    pub kept_bytes: u64,
}

/// What to list, and in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct ListUploads {
    /// Only those of this repository.
    pub repository: Option<RepositoryName>,
    /// Only those of this client.
    pub client: Option<IpAddr>,
    /// Only those in one of these states; empty: all.
    pub states: Vec<UploadState>,
    /// By what they are sorted; equal ones by repository and id.
    pub sort: SortUploads,
    /// The greatest first.
    pub descending: bool,
    /// How many at most, at least one.
    pub limit: usize,
    /// The `next` of the page before.
    pub after: Option<String>,
}

/// By what uploads are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortUploads {
    /// Repository, then id.
    #[default]
    Name,
    /// When it was started.
    Started,
    /// When its last byte came.
    Progress,
    /// How many bytes are kept.
    Offset,
    /// How fast bytes come.
    Rate,
    /// When it will expire; those that never will last.
    Deadline,
}

impl SortUploads {
    /// All there are.
    pub const ALL: [SortUploads; 6] = [
        SortUploads::Name,
        SortUploads::Started,
        SortUploads::Progress,
        SortUploads::Offset,
        SortUploads::Rate,
        SortUploads::Deadline,
    ];

    /// Its name: `name`, `started`, `progress`, `offset`, `rate`, `deadline`.
    pub fn as_str(self) -> &'static str {
        match self {
            SortUploads::Name => "name",
            SortUploads::Started => "started",
            SortUploads::Progress => "progress",
            SortUploads::Offset => "offset",
            SortUploads::Rate => "rate",
            SortUploads::Deadline => "deadline",
        }
    }

    /// The order of this name.
    pub fn parse(text: &str) -> Option<SortUploads> {
        SortUploads::ALL.into_iter().find(|sort| sort.as_str() == text)
    }
}

/// One page of uploads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UploadPage {
    /// In the order that was asked for.
    pub uploads: Vec<UploadView>,
    /// How many fit the filter, on all pages.
    pub total: u64,
    /// What to give as `after` for the next page; `None`: this was the last. Text without a meaning to its reader.
    pub next: Option<String>,
}

/// A look through the storage for uploads: the running one, or the last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanReport {
    /// Whether it runs still.
    pub is_running: bool,
    /// Whether it only looks.
    pub is_dry_run: bool,
    /// When it was begun; `None`: there was none yet.
    pub started_at: Option<SystemTime>,
    /// When it ended.
    pub finished_at: Option<SystemTime>,
    /// How many repositories it has looked into.
    pub repositories: u64,
    /// How many uploads it has met, known ones included.
    pub uploads: u64,
    /// How many of them nobody knew before.
    pub adopted: u64,
    /// How many it made expire or removed, or would have.
    pub removed: u64,
    /// How many bytes of data those had.
    pub removed_bytes: u64,
    /// How many it could not look at or remove; the log says why.
    pub failed: u64,
    /// The first of those that it made expire or removed, or would have.
    pub findings: Vec<ScanFinding>,
}

/// Something that a scan removed or made expire, or would have.
#[derive(Clone, Debug, PartialEq)]
pub struct ScanFinding {
    /// Where.
    pub repository: RepositoryName,
    /// Its name below `_uploads`, an id as a rule.
    pub name: String,
    /// How many bytes of data it has.
    pub bytes: u64,
    /// Since when nothing happened to it, if that is known.
    pub progress_at: Option<SystemTime>,
    /// Why it goes: a policy, or `leftover` for what no upload could be made of.
    pub reason: String,
}

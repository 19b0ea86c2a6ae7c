//! What the admin API answers, as far as it is shown to people.

use std::fmt;
use std::time::{Duration, SystemTime};

use longshore::upload::ScanReport;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, RFC 3339 in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(OffsetDateTime);

impl Moment {
    pub(super) fn now() -> Self {
        Moment(OffsetDateTime::now_utc())
    }

    /// How long before `self` the other was; zero when it was not before, as it may be between two clocks.
    pub(super) fn since(self, earlier: Moment) -> Duration {
        (self.0 - earlier.0).try_into().unwrap_or_default()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.replace_nanosecond(0).unwrap_or(self.0);
        f.write_str(&whole.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        Moment(time.into())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map(Moment).map_err(de::Error::custom)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.format(&Rfc3339).map_err(ser::Error::custom)?)
    }
}

/// One page of uploads. They are kept as they came too, so that `--json` loses nothing that this version does not know.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) uploads: Vec<Box<RawValue>>,
    pub(super) total: u64,
    pub(super) next: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Upload {
    pub(super) repository: String,
    pub(super) id: String,
    pub(super) state: String,
    pub(super) offset_bytes: u64,
    pub(super) started_at: Moment,
    pub(super) progress_at: Moment,
    pub(super) rate_bytes_per_second: u64,
    pub(super) client: Option<String>,
    pub(super) deadline: Option<Deadline>,
    pub(super) expired: Option<Expired>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Deadline {
    pub(super) at: Moment,
    pub(super) policy: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Expired {
    pub(super) at: Moment,
    pub(super) policy: String,
    pub(super) kept_until: Moment,
    pub(super) kept_bytes: u64,
}

/// What is left of an upload that was cancelled or made to expire.
#[derive(Debug, Deserialize)]
pub(super) struct Ended {
    pub(super) repository: String,
    pub(super) id: String,
    pub(super) offset_bytes: u64,
}

/// A scan: the running one, or the last.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) running: bool,
    pub(super) dry_run: bool,
    pub(super) started_at: Option<Moment>,
    pub(super) finished_at: Option<Moment>,
    pub(super) repositories: u64,
    pub(super) uploads: u64,
    pub(super) adopted: u64,
    pub(super) removed: u64,
    pub(super) removed_bytes: u64,
    pub(super) failed: u64,
    pub(super) findings: Vec<Finding>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Finding {
    pub(super) repository: String,
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) progress_at: Option<Moment>,
    pub(super) reason: String,
}

/// What a reload changed, by configuration key.
#[derive(Debug, Deserialize)]
pub(super) struct Reloaded {
    pub(super) changed: Vec<String>,
    pub(super) needs_restart: Vec<String>,
}

impl From<&ScanReport> for Report {
    fn from(report: &ScanReport) -> Self {
        let finding = |finding: &longshore::upload::ScanFinding| Finding {
            repository: finding.repository.to_string(),
            name: finding.name.clone(),
            bytes: finding.bytes,
            progress_at: finding.progress_at.map(Moment::from),
            reason: finding.reason.clone(),
        };
        Report {
            running: report.is_running,
            dry_run: report.is_dry_run,
            started_at: report.started_at.map(Moment::from),
            finished_at: report.finished_at.map(Moment::from),
            repositories: report.repositories,
            uploads: report.uploads,
            adopted: report.adopted,
            removed: report.removed,
            removed_bytes: report.removed_bytes,
            failed: report.failed,
            findings: report.findings.iter().map(finding).collect(),
        }
    }
}

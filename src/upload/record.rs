//! The record of an upload in storage: what is needed to go on with it.
//!
//! # Format, version 2
//! Three lines of UTF-8, each ended by a newline:
//!
//! 1. `longshore upload record 2` (the last word is the version),
//! 2. a JSON object:
//!
//! | field | what |
//! |---|---|
//! | `repository`, `id` | whose it is; checked against the key it is found under |
//! | `started_at` | RFC 3339, UTC, seconds |
//! | `client` | the address of who started it or wrote last, if that is known |
//! | `progress_at` | when its last byte had come, RFC 3339, UTC, seconds |
//! | `checkpoint.offset` | how many bytes the checkpoint holds |
//! | `checkpoint.token` | what the driver needs to open the partial there |
//! | `checkpoint.algorithm`, `checkpoint.hash_state` | the running digest there or somewhat before (it says its own offset), hexadecimal, in the form that Go's hashes marshal to (the one that distribution writes) |
//! | `checkpoint.boot` | which boot of the machine wrote it |
//! | `checkpoint.synced` | whether its bytes were synced before it was written |
//! | `checkpoint.unproven` | `true`: the digest goes on from a state that another program wrote and that nothing proves |
//! | `synced_checkpoint` | the newest checkpoint whose bytes were synced, as `checkpoint`, where that one is newer and was not: after another boot it is gone on from here |
//! | `commit.digest`, `commit.size_bytes` | only once a commit has verified the content and is about to publish it |
//! | `expired.policy`, `expired.at`, `expired.offset` | only once it has expired: it is kept for a look, with or without its data |
//!
//! 3. the SHA-256 of line 2 without its newline, hexadecimal.
//!
//! Version 1 had neither `client`, `progress_at`, `checkpoint.unproven`, `synced_checkpoint` nor `expired`, and its state stood exactly at the
//! checkpoint. It is read, and written as version 2.
//!
//! A record that is broken in any way is treated as if it were not there: the data is hashed again. A
//! record of a newer version is left alone, and so is its upload.

use std::net::IpAddr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use super::Policy;
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId, to_hex};
use crate::storage;

const VERSION: u32 = 2;
const HEADER: &str = "longshore upload record ";

/// No record is longer: a name, an id, a state of at most a few hundred bytes and a driver's token.
pub(super) const MAX_BYTES: u64 = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub repository: RepositoryName,
    pub id: UploadId,
    pub started_at: SystemTime,
    /// Who started it or wrote last.
    pub client: Option<IpAddr>,
    /// When its last byte had come.
    pub progress_at: SystemTime,
    pub checkpoint: Checkpoint,
    /// The newest one whose bytes were synced, if `checkpoint` is newer and its own were not.
    pub synced_checkpoint: Option<Checkpoint>,
    /// What a commit has verified and is about to publish: digest and size.
    pub commit: Option<(Digest, u64)>,
    /// It is no upload any more, but what is kept of one.
    pub expired: Option<Expired>,
}

/// How an upload expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expired {
    pub policy: Policy,
    pub at: SystemTime,
    /// How many bytes it had.
    pub offset: u64,
}

/// A point to go on from: bytes, digest, and how far it can be trusted.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub partial: storage::Checkpoint,
    /// The state there, or somewhat before: then what lies between is hashed again.
    pub digest: RunningDigest,
    /// The state comes from another program without a checksum: it is believed only as far as the digest turns out right.
    pub is_unproven: bool,
    pub boot: String,
    pub synced: bool,
}

/// Why a record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    /// It is not whole, or not ours.
    Broken,
    /// A newer version wrote it.
    TooNew,
}

#[derive(Serialize, Deserialize)]
struct Fields {
    repository: String,
    id: String,
    started_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    progress_at: Option<String>,
    checkpoint: CheckpointFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    synced_checkpoint: Option<CheckpointFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<CommitFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expired: Option<ExpiredFields>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointFields {
    offset: u64,
    token: String,
    algorithm: String,
    hash_state: String,
    #[serde(default, skip_serializing_if = "is_false")]
    unproven: bool,
    boot: String,
    synced: bool,
}

#[derive(Serialize, Deserialize)]
struct CommitFields {
    digest: Digest,
    size_bytes: u64,
}

#[derive(Serialize, Deserialize)]
struct ExpiredFields {
    policy: String,
    at: String,
    offset: u64,
}

impl Record {
    pub fn encode(&self) -> Vec<u8> {
        let fields = Fields {
            repository: self.repository.to_string(),
            id: self.id.to_string(),
            started_at: format_started_at(self.started_at),
            client: self.client,
            progress_at: Some(format_started_at(self.progress_at)),
            checkpoint: CheckpointFields::of(&self.checkpoint),
            synced_checkpoint: self.synced_checkpoint.as_ref().map(CheckpointFields::of),
            commit: self.commit.clone().map(|(digest, size_bytes)| CommitFields { digest, size_bytes }),
            expired: self.expired.map(|expired| ExpiredFields {
                policy: expired.policy.to_string(),
                at: format_started_at(expired.at),
                offset: expired.offset,
            }),
        };
        let json = serde_json::to_string(&fields).expect("strings and numbers always serialise");
        let sum = to_hex(&Sha256::digest(json.as_bytes()));
        format!("{HEADER}{VERSION}\n{json}\n{sum}\n").into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::Broken)?;
        let (header, body) = text.split_once('\n').ok_or(RecordError::Broken)?;
        let version: u32 =
            header.strip_prefix(HEADER).and_then(|version| version.parse().ok()).ok_or(RecordError::Broken)?;
        if version > VERSION {
            return Err(RecordError::TooNew);
        }
        let (json, sum) = body.split_once('\n').ok_or(RecordError::Broken)?;
        if sum.strip_suffix('\n') != Some(to_hex(&Sha256::digest(json.as_bytes())).as_str()) {
            return Err(RecordError::Broken);
        }
        let fields: Fields = serde_json::from_str(json).map_err(|_| RecordError::Broken)?;
        Record::from_fields(fields).ok_or(RecordError::Broken)
    }

    fn from_fields(fields: Fields) -> Option<Self> {
        let started_at = parse_started_at(&fields.started_at)?;
        let progress_at = match &fields.progress_at {
            Some(text) => parse_started_at(text)?,
            None => started_at,
        };
        let synced_checkpoint = match fields.synced_checkpoint {
            Some(checkpoint) => Some(checkpoint.into_checkpoint()?),
            None => None,
        };
        let expired = match &fields.expired {
            Some(expired) => Some(Expired {
                policy: Policy::parse(&expired.policy)?,
                at: parse_started_at(&expired.at)?,
                offset: expired.offset,
            }),
            None => None,
        };
        Some(Record {
            repository: fields.repository.parse().ok()?,
            id: fields.id.parse().ok()?,
            started_at,
            client: fields.client,
            progress_at,
            checkpoint: fields.checkpoint.into_checkpoint()?,
            synced_checkpoint,
            commit: fields.commit.map(|commit| (commit.digest, commit.size_bytes)),
            expired,
        })
    }
}

impl CheckpointFields {
    fn of(checkpoint: &Checkpoint) -> Self {
        CheckpointFields {
            offset: checkpoint.partial.offset,
            token: checkpoint.partial.token.clone(),
            algorithm: checkpoint.digest.algorithm().to_string(),
            hash_state: to_hex(&checkpoint.digest.to_bytes()),
            unproven: checkpoint.is_unproven,
            boot: checkpoint.boot.clone(),
            synced: checkpoint.synced,
        }
    }

    fn into_checkpoint(self) -> Option<Checkpoint> {
        let algorithm: Algorithm = self.algorithm.parse().ok()?;
        let digest = RunningDigest::from_bytes(algorithm, &from_hex(&self.hash_state)?).ok()?;
        (digest.offset() <= self.offset).then_some(Checkpoint {
            partial: storage::Checkpoint { offset: self.offset, token: self.token },
            digest,
            is_unproven: self.unproven,
            boot: self.boot,
            synced: self.synced,
        })
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The content of `startedat`: RFC 3339, UTC, whole seconds, no newline.
pub(super) fn format_started_at(started_at: SystemTime) -> String {
    let seconds = OffsetDateTime::from(started_at).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    seconds.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

/// Reads `startedat`; `None` when it is no RFC 3339 time.
pub(super) fn parse_started_at(text: &str) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(text.trim_end(), &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
    // Beyond these years it could not be written again.
    (1970..=9999).contains(&time.year()).then(|| SystemTime::from(time))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const GOLDEN: &str = include_str!("golden/record-v2");
    const GOLDEN_1: &str = include_str!("golden/record-v1");
    const GOLDEN_EXPIRED: &str = include_str!("golden/tombstone-v2");

    fn record() -> Record {
        let mut digest = RunningDigest::new(Algorithm::Sha256);
        digest.update(b"half a layer");
        Record {
            repository: "library/app".parse().unwrap(),
            id: "6e5b4f5c-1f6e-4a3d-9d3e-0a1b2c3d4e5f".parse().unwrap(),
            started_at: UNIX_EPOCH + Duration::from_secs(1_770_000_000),
            client: Some("192.0.2.7".parse().unwrap()),
            progress_at: UNIX_EPOCH + Duration::from_secs(1_770_000_060),
            checkpoint: Checkpoint {
                partial: storage::Checkpoint { offset: 12, token: String::new() },
                digest,
                is_unproven: false,
                boot: "1b2d".into(),
                synced: false,
            },
            synced_checkpoint: None,
            commit: None,
            expired: None,
        }
    }

    fn tombstone() -> Record {
        let at = UNIX_EPOCH + Duration::from_secs(1_770_021_660);
        Record { expired: Some(Expired { policy: Policy::IdleTimeout, at, offset: 12 }), ..record() }
    }

    #[test]
    fn version_2_is_written_as_it_always_was() {
        assert_eq!(String::from_utf8(record().encode()).unwrap(), GOLDEN);
        assert_eq!(String::from_utf8(tombstone().encode()).unwrap(), GOLDEN_EXPIRED);
    }

    #[test]
    fn a_record_of_version_2_is_read_back() {
        for golden in [GOLDEN, GOLDEN_EXPIRED] {
            assert_eq!(Record::decode(golden.as_bytes()).unwrap().encode(), golden.as_bytes());
        }
        let expired = Record::decode(GOLDEN_EXPIRED.as_bytes()).unwrap().expired.unwrap();
        assert_eq!((expired.policy, expired.offset), (Policy::IdleTimeout, 12));
    }

    #[test]
    fn a_record_of_version_1_is_read_and_written_as_version_2() {
        let read = Record::decode(GOLDEN_1.as_bytes()).unwrap();
        let expected = Record { client: None, progress_at: record().started_at, ..record() };
        assert_eq!(read.encode(), expected.encode());
    }

    #[test]
    fn the_synced_checkpoint_is_kept_beside_a_newer_one() {
        let mut with_both = record();
        let synced = Checkpoint { synced: true, ..with_both.checkpoint.clone() };
        with_both.synced_checkpoint = Some(synced);
        let read = Record::decode(&with_both.encode()).unwrap();
        assert!(read.synced_checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.synced));
        assert_eq!(read.encode(), with_both.encode());
    }

    #[test]
    fn a_state_behind_the_checkpoint_is_kept_and_one_past_it_is_broken() {
        let mut behind = record();
        behind.checkpoint.partial.offset = 100;
        assert_eq!(Record::decode(&behind.encode()).unwrap().checkpoint.digest.offset(), 12);
        behind.checkpoint.partial.offset = 11;
        assert_eq!(Record::decode(&behind.encode()).unwrap_err(), RecordError::Broken);
    }

    #[test]
    fn the_commit_intent_is_kept() {
        let mut with_commit = record();
        with_commit.commit =
            Some(("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().unwrap(), 12));
        assert_eq!(Record::decode(&with_commit.encode()).unwrap().commit, with_commit.commit);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let bytes = record().encode();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[at] ^= 1 << bit;
                // The version's own digit may become another one: a newer version, or version 0 of the same lines.
                let Ok(read) = Record::decode(&broken) else { continue };
                assert!(at == HEADER.len() && read.encode() == bytes, "byte {at} bit {bit}");
            }
        }
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_a_broken_one() {
        let newer = GOLDEN.replacen("record 2", "record 3", 1);
        assert_eq!(Record::decode(newer.as_bytes()).unwrap_err(), RecordError::TooNew);
        assert_eq!(Record::decode(b"").unwrap_err(), RecordError::Broken);
    }

    #[test]
    fn started_at_is_rfc_3339_in_utc_with_seconds() {
        let time = UNIX_EPOCH + Duration::from_millis(1_770_000_000_900);
        assert_eq!(format_started_at(time), "2026-02-02T02:40:00Z");
        assert_eq!(parse_started_at("2026-02-02T02:40:00Z"), Some(UNIX_EPOCH + Duration::from_secs(1_770_000_000)));
        for none in ["", "0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse_started_at(none), None, "{none:?}");
        }
    }
}

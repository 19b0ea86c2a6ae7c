//! The record of an upload in storage: what is needed to go on with it.
//!
//! # Format, version 1
//! Three lines of UTF-8, each ended by a newline:
//!
//! 1. `longshore upload record 1` (the last word is the version),
//! 2. a JSON object:
//!
//! | field | what |
//! |---|---|
//! | `repository`, `id` | whose it is; checked against the key it is found under |
//! | `started_at` | RFC 3339, UTC, seconds |
//! | `checkpoint.offset` | how many bytes the checkpoint holds |
//! | `checkpoint.token` | what the driver needs to open the partial there |
//! | `checkpoint.algorithm`, `checkpoint.hash_state` | the running digest there, hexadecimal, in the form that Go's hashes marshal to (the one that distribution writes) |
//! | `checkpoint.boot` | which boot of the machine wrote it |
//! | `checkpoint.synced` | whether its bytes were synced before it was written |
//! | `commit.digest`, `commit.size_bytes` | only once a commit has verified the content and is about to publish it |
//!
//! 3. the SHA-256 of line 2 without its newline, hexadecimal.
//!
//! A record that is broken in any way is treated as if it were not there: the data is hashed again. A
//! record of a newer version is left alone, and so is its upload.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest, RepositoryName, UploadId};
use crate::storage;

const VERSION: u32 = 1;
const HEADER: &str = "longshore upload record ";

/// No record is longer: a name, an id, a state of at most a few hundred bytes and a driver's token.
pub(super) const MAX_BYTES: u64 = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Record {
    pub repository: RepositoryName,
    pub id: UploadId,
    pub started_at: SystemTime,
    pub checkpoint: Checkpoint,
    /// What a commit has verified and is about to publish: digest and size.
    pub commit: Option<(Digest, u64)>,
}

/// A point to go on from: bytes, digest, and how far it can be trusted.
#[derive(Clone, Debug)]
pub(super) struct Checkpoint {
    pub partial: storage::Checkpoint,
    pub digest: RunningDigest,
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
    checkpoint: CheckpointFields,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<CommitFields>,
}

#[derive(Serialize, Deserialize)]
struct CheckpointFields {
    offset: u64,
    token: String,
    algorithm: String,
    hash_state: String,
    boot: String,
    synced: bool,
}

#[derive(Serialize, Deserialize)]
struct CommitFields {
    digest: Digest,
    size_bytes: u64,
}

impl Record {
    pub fn encode(&self) -> Vec<u8> {
        let fields = Fields {
            repository: self.repository.to_string(),
            id: self.id.to_string(),
            started_at: format_started_at(self.started_at),
            checkpoint: CheckpointFields {
                offset: self.checkpoint.partial.offset,
                token: self.checkpoint.partial.token.clone(),
                algorithm: self.checkpoint.digest.algorithm().to_string(),
                hash_state: to_hex(&self.checkpoint.digest.to_bytes()),
                boot: self.checkpoint.boot.clone(),
                synced: self.checkpoint.synced,
            },
            commit: self.commit.clone().map(|(digest, size_bytes)| CommitFields { digest, size_bytes }),
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
        let algorithm: Algorithm = fields.checkpoint.algorithm.parse().ok()?;
        let state = from_hex(&fields.checkpoint.hash_state)?;
        let digest = RunningDigest::from_bytes(algorithm, &state).ok()?;
        if digest.offset() != fields.checkpoint.offset {
            return None;
        }
        Some(Record {
            repository: fields.repository.parse().ok()?,
            id: fields.id.parse().ok()?,
            started_at: parse_started_at(&fields.started_at)?,
            checkpoint: Checkpoint {
                partial: storage::Checkpoint { offset: fields.checkpoint.offset, token: fields.checkpoint.token },
                digest,
                boot: fields.checkpoint.boot,
                synced: fields.checkpoint.synced,
            },
            commit: fields.commit.map(|commit| (commit.digest, commit.size_bytes)),
        })
    }
}

/// The content of `startedat`: RFC 3339, UTC, whole seconds, no newline.
pub(super) fn format_started_at(started_at: SystemTime) -> String {
    let seconds = OffsetDateTime::from(started_at).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    seconds.format(&Rfc3339).unwrap_or_else(|_| "1970-01-01T00:00:00Z".into())
}

/// Reads `startedat`; `None` when it is no RFC 3339 time.
pub(super) fn parse_started_at(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text.trim_end(), &Rfc3339).ok().map(SystemTime::from)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const GOLDEN: &str = include_str!("golden/record-v1");

    fn record() -> Record {
        let mut digest = RunningDigest::new(Algorithm::Sha256);
        digest.update(b"half a layer");
        Record {
            repository: "library/app".parse().unwrap(),
            id: "6e5b4f5c-1f6e-4a3d-9d3e-0a1b2c3d4e5f".parse().unwrap(),
            started_at: UNIX_EPOCH + Duration::from_secs(1_770_000_000),
            checkpoint: Checkpoint {
                partial: storage::Checkpoint { offset: 12, token: String::new() },
                digest,
                boot: "1b2d".into(),
                synced: false,
            },
            commit: None,
        }
    }

    #[test]
    fn version_1_is_written_as_it_always_was() {
        assert_eq!(String::from_utf8(record().encode()).unwrap(), GOLDEN);
    }

    #[test]
    fn a_record_of_version_1_is_read_back() {
        let read = Record::decode(GOLDEN.as_bytes()).unwrap();
        assert_eq!(read.encode(), GOLDEN.as_bytes());
        assert_eq!(read.checkpoint.digest.offset(), 12);
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
        let newer = GOLDEN.replacen("record 1", "record 2", 1);
        assert_eq!(Record::decode(newer.as_bytes()).unwrap_err(), RecordError::TooNew);
        assert_eq!(Record::decode(b"").unwrap_err(), RecordError::Broken);
    }

    #[test]
    fn started_at_is_rfc_3339_in_utc_with_seconds() {
        let time = UNIX_EPOCH + Duration::from_millis(1_770_000_000_900);
        assert_eq!(format_started_at(time), "2026-02-02T02:40:00Z");
        assert_eq!(parse_started_at("2026-02-02T02:40:00Z"), Some(UNIX_EPOCH + Duration::from_secs(1_770_000_000)));
        assert_eq!(parse_started_at(""), None);
    }
}

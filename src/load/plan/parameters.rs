//! The parameters of each workload, with their defaults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Sizes;
#[cfg(doc)]
use super::Workload;
use crate::config::{duration, optional};

/// See [`Workload::PushChunked`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushChunked {
    /// How large a chunk is; each is drawn by itself.
    pub chunk_sizes: Sizes,
}

/// See [`Workload::Resume`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    /// In which ways it may be cut; one of them is drawn for each cut.
    pub cuts: Vec<Cut>,
    /// How often one push is cut. The offsets are random.
    pub times: u32,
    /// How long it waits after a cut before it asks for the offset.
    #[serde(with = "duration")]
    pub wait: Duration,
    /// After how long a silence it gives up the old connection, for the cut `silence`.
    #[serde(with = "duration")]
    pub silence: Duration,
}

/// How a body ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// The connection is reset.
    Reset,
    /// The client's half of it is closed, as a proxy does that lost its client.
    HalfClose,
    /// Nothing more is sent, and the connection stays open while another one goes on.
    Silence,
}

/// See [`Workload::Stall`]. With neither, it stops for 30 s.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stall {
    /// It sends so many bytes a second, in small pieces.
    #[serde(with = "optional::byte_size")]
    pub drip_rate: Option<u64>,
    /// It stops at a random offset for so long, then goes on.
    #[serde(with = "optional::duration")]
    pub stop_for: Option<Duration>,
}

/// See [`Workload::Replay`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Replay {
    /// What is sent again.
    pub what: ReplayWhat,
}

/// What is sent again although it was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplayWhat {
    /// A PATCH with its body, to the address that it went to first.
    #[default]
    Patch,
    /// The PUT that ends the upload.
    Put,
}

/// See [`Workload::Contend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contend {
    /// What they contend for.
    pub over: ContendOver,
    /// How many clients there are.
    pub clients: u32,
}

/// What several clients contend for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContendOver {
    /// Each pushes the same blob by an upload of its own.
    #[default]
    Digest,
    /// All write to one upload.
    Upload,
}

/// See [`Workload::Cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cancel {
    /// The share (0 to 1) of the blob that is sent before, at most; it is drawn anew each time.
    pub sent_ratio: f64,
}

/// See [`Workload::PullRanges`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullRanges {
    /// How large a range is.
    pub range_sizes: Sizes,
    /// How many ranges of one blob are pulled in one task, at random offsets.
    pub ranges: u32,
}

/// See [`Workload::HeadMany`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadMany {
    /// How many blobs are looked up in one task.
    pub heads: u32,
}

/// See [`Workload::TagsList`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagsList {
    /// How many tags a page has at most (`n`). Zero: as the registry likes.
    pub page: u32,
}

/// See [`Workload::ImagePush`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagePush {
    /// How many layers an image has.
    pub layers: u32,
    /// How large they are. `None`: as `content.sizes` says.
    pub layer_sizes: Option<Sizes>,
    /// Each blob is looked up before it is pushed, as docker and containerd do.
    pub head_before: bool,
    /// How many blobs of one image are pushed at once.
    pub parallel: u32,
}

/// See [`Workload::ImagePull`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagePull {
    /// How many blobs of one image are pulled at once.
    pub parallel: u32,
}

impl Default for PushChunked {
    fn default() -> Self {
        PushChunked { chunk_sizes: Sizes::Fixed(4 << 20) }
    }
}

impl Default for Resume {
    fn default() -> Self {
        Resume { cuts: vec![Cut::Reset], times: 1, wait: Duration::ZERO, silence: Duration::from_secs(2) }
    }
}

impl Default for Contend {
    fn default() -> Self {
        Contend { over: ContendOver::Digest, clients: 4 }
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Cancel { sent_ratio: 1.0 }
    }
}

impl Default for PullRanges {
    fn default() -> Self {
        PullRanges { range_sizes: Sizes::Fixed(1 << 20), ranges: 4 }
    }
}

impl Default for HeadMany {
    fn default() -> Self {
        HeadMany { heads: 20 }
    }
}

impl Default for TagsList {
    fn default() -> Self {
        TagsList { page: 100 }
    }
}

impl Default for ImagePush {
    fn default() -> Self {
        ImagePush { layers: 5, layer_sizes: None, head_before: true, parallel: 3 }
    }
}

impl Default for ImagePull {
    fn default() -> Self {
        ImagePull { parallel: 3 }
    }
}

//! Floor 4: the upload engine.
//!
//! One actor for each upload in progress, one supervisor for all, and a handle ([`Engine`]) as the only entry:
//!
//! ```text
//! request ──▶ Engine ──▶ index (who acts for upload X?) ──▶ supervisor, when nobody does: starts an actor
//!    │                                                               that looks for X in storage
//!    └─ Writer ══ bytes ══▶ pump (coalesces, 2 batches in flight) ══▶ upload actor ─┬─▶ storage driver
//!                                                                     state machine └─▶ hash pool
//! ```
//!
//! | file | what |
//! |---|---|
//! | `engine.rs`, `writer.rs` | the handle, and the writer of one body |
//! | `pump.rs` | carries a body to its actor |
//! | `memory.rs`, `turns.rs` | what bodies together may hold, and which of many receives |
//! | `machine/` | the decisions: who writes, what comes next; pure |
//! | `actor/` | owns machine and data, runs one storage job at a time |
//! | `store/` | the jobs: write, checkpoint, commit, remove, find again |
//! | `record.rs` | the upload's record in storage |
//! | `supervisor.rs`, `index.rs` | who acts for which upload |
//! | `messages.rs` | what they say to each other |

mod actor;
mod ask;
mod batch;
pub(crate) mod benching;
mod engine;
mod error;
pub(crate) mod fuzzing;
mod index;
mod limit;
mod machine;
mod memory;
mod messages;
mod pump;
mod reaper;
mod record;
mod roster;
mod scan;
mod space;
mod starter;
mod store;
mod supervisor;
#[cfg(test)]
mod tests;
mod turns;
mod view;
mod writer;

pub use engine::{Engine, EngineOptions, Progress, UploadHandle, WriteOptions};
pub use error::UploadError;
pub use machine::{EndReason, Start};
pub use view::{
    ExpiredView, ListUploads, Policy, ScanFinding, ScanReport, SortUploads, UploadPage, UploadState, UploadView,
};
pub use writer::Writer;

/// How many messages may wait for one upload. A writer has at most two batches and an end on their way, claims are
/// bounded by the machine; the rest is room for status questions. Whoever finds it full waits.
const MAILBOX_CAPACITY: usize = 32;

/// How many messages may wait for the supervisor. It answers each in microseconds, so this is a burst of requests, one
/// for each of some hundred connections, and not a queue.
const SUPERVISOR_MAILBOX_CAPACITY: usize = 1024;

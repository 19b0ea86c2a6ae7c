//! A registry that a test starts, asks and ends.

mod answers;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
pub mod chaos;
mod client;
mod content;
pub mod leftovers;
mod operator;
mod program;
#[allow(dead_code, reason = "each program of tests uses a part of it")]
pub mod pusher;
mod raw;
pub mod seeded;
mod server;

pub use answers::{ReplyExt, code_of};
pub use client::{OCI_IMAGE, OCI_INDEX, with_digest};
pub use content::{Alg, digest_of, image_manifest, index_manifest, random};
pub use operator::{id_of, without_policies};
pub use program::Program;
pub use raw::{RawReply, begin_body, raw_exchange, raw_head, read_reply, read_to_close};
pub use server::{Registry, Storage, client_of_one_connection_each, files_below};

use std::time::Duration;

/// Nothing in these tests takes that long unless it is stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one case on a fresh registry and looks at what it left.
pub async fn run(storage: Storage, case: impl AsyncFnOnce(&Registry)) {
    let registry = Registry::start(storage).await;
    case(&registry).await;
    registry.finish().await;
}

/// Asks again until `condition` holds: for what happens on the server after its answer.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let ends_at = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < ends_at, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

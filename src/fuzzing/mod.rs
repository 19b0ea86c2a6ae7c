//! What is said of everything that parses input, each as a function over bytes that panics where it is not so.
//!
//! `tests/fuzz` calls them with kept inputs and with random ones, guided by coverage if wanted (`tests/fuzz/run.sh`).
//! They are part of the crate since most parsers are nobody else's business; each floor has its own.

mod hashing;
mod oci;
mod storage;

use crate::{config, content, http, upload};

/// A property of a parser: it panics when the bytes show that it does not hold.
pub type Target = fn(&[u8]);

/// Every one, by the name of its folder in `tests/fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("repository_name", oci::repository_name),
    ("reference", oci::reference),
    ("digest", oci::digest),
    ("upload_id", oci::upload_id),
    ("manifest", oci::manifest),
    ("hash_state", hashing::hash_state),
    ("storage_key", storage::storage_key),
    ("link", content::fuzzing::link),
    ("referrer", content::fuzzing::referrer),
    ("upload_record", upload::fuzzing::upload_record),
    ("started_at", upload::fuzzing::started_at),
    ("page_token", upload::fuzzing::page_token),
    ("config_file", config::fuzzing::file),
    ("config_variables", config::fuzzing::variables),
    ("config_values", config::fuzzing::values),
    ("path", http::fuzzing::path),
    ("query", http::fuzzing::query),
    ("content_range", http::fuzzing::content_range),
    ("range", http::fuzzing::range),
    ("forwarded", http::fuzzing::forwarded),
    ("conditions", http::fuzzing::conditions),
    ("admin_query", http::fuzzing::admin_query),
    ("admin_body", http::fuzzing::admin_body),
];

/// The text that the bytes are; `None` when they are none.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

//! Floor 6: the HTTP API.
//!
//! The way of a request: `listener` accepts a connection, `guard` finds out its protocol in bounded
//! time, `connection` bounds it from then on; `server` gives each request its record, looks its path up
//! in `routes`, and calls one of the `handlers`, which stand on the services of [`crate::registry`] and
//! hold no state of their own. What they answer goes out through `answer`; what goes wrong becomes a
//! status and a code in `error`, and nowhere else.

mod access_log;
mod activity;
mod admin;
mod answer;
pub(crate) mod benching;
mod blocks;
mod body;
mod chunked;
mod conditions;
mod connection;
mod connection_state;
mod content_range;
mod direct;
mod error;
mod forwarded;
pub(crate) mod fuzzing;
mod guard;
mod handlers;
mod head;
mod inlet;
mod listener;
mod open_files;
mod pagination;
mod query;
mod range;
mod request_id;
mod routes;
mod server;
mod timestamp;
mod tls;
mod transport;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;

pub use admin::{AdminOptions, AdminServer, ControlError, NotReady, Readiness, Reloaded, UploadControl};
pub use listener::RunningServer;
pub use open_files::{raise_open_file_limit, spare_open_files};
pub use server::{ApiServer, ServerOptions};

/// Why a server could not be started.
#[derive(Debug)]
pub struct StartError(String);

impl StartError {
    fn new(message: impl Into<String>) -> Self {
        StartError(message.into())
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for StartError {}

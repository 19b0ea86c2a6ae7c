//! What is done to a registry: a file for each [`Workload`](super::plan::Workload), and [`HttpDriver`], which does them.
//!
//! A task sends its requests one after the other in a lane, which records each of them as an operation and notes it
//! in the history of what it is for. Requests that are slow or cut on purpose are no operations: they are counted as
//! stalls and cuts. What a registry acknowledges and does not hold to is a finding, whichever task it is that notices.
//!
//! Nothing is tried again here, unless that is what the workload is about: a client's patience would hide what is
//! measured.

mod answers;
mod body;
mod cancel;
mod contend;
mod driver;
pub(super) mod failure;
pub(super) mod history;
mod image;
pub(super) mod lane;
pub(super) mod lookups;
mod mount;
pub(super) mod pull;
mod push;
mod replay;
mod resume;
mod session;
mod stall;
mod task;
mod trace;
mod upload;
mod uploads;

pub(super) use answers::Refused;
pub use driver::HttpDriver;

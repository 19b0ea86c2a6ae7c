//! Requests on connections that the load tester has in its hand: it knows when a byte leaves and comes, keeps ten
//! thousand connections open at little cost, and breaks one off in the middle of a body in the way that it wants to.
//!
//! A [`Wire`] is a [`Transport`](crate::client::transport::Transport), so all of the client works over it. It sends each request
//! once, and never on a connection that is in doubt. Who wants to know how a request went calls the client within
//! [`Watch::over`]. Who wants to cut a body lets its stream end with the error [`Cut`].
//!
//! No task stands behind a connection: who waits for an answer moves its bytes. So nothing is handed between threads
//! while a request is timed, and what is dropped is closed.

mod answer;
mod body;
mod cut;
mod dial;
mod exchange;
mod failure;
mod live;
mod marks;
mod options;
mod shared;
mod tap;
#[cfg(test)]
mod tests;
mod transport;
mod watch;

pub use cut::{Cut, CutKind};
pub use exchange::Exchange;
pub use options::WireOptions;
pub use transport::Wire;
pub use watch::Watch;

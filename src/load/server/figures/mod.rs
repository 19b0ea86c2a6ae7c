//! What processes of this machine use while something is measured: processor time, memory, disks, waiting.
//!
//! Linux tells it of every process of the same user, and of all of them to root. Times count in steps of 10 ms. A
//! process's children are not in its figures; name them beside it ([`Watch::processes`]).

mod error;
mod files;
mod reading;
mod turn;
mod watch;

pub use error::FiguresError;
pub(super) use files::{number, value};
pub use turn::Figures;
pub use watch::{Turn, Watch};

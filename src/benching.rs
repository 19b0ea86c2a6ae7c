//! What `benches/micro.rs` measures and only this crate can reach.

pub use crate::http::benching::parse_path;
pub use crate::upload::benching::{KeptRecord, MachineRounds};

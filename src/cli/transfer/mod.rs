//! What `push`, `pull` and `copy` have in common.

mod arguments;
mod connect;
mod outcome;
mod place;
mod run;
mod show;

pub(super) use self::arguments::{CopyArguments, OutputArguments, RegistryArguments};
pub(super) use self::connect::{Connection, parse_reference};
pub(super) use self::outcome::Problem;
pub(super) use self::place::{Named, Place};
pub(super) use self::run::{Session, run};

//! The load tester's workloads, each against a longshore of the test's own and against a small registry that is correct
//! or has a vice.
//!
//! | what must hold | where |
//! |---|---|
//! | a correct registry gives no error and no finding, and keeps no upload | `good` |
//! | each vice is found and told as what it is | `vices` |
//! | what a registry does to slow clients and cut pushes is counted | `cuts` |
//! | the histograms of a server with known delays hold them | `times` |

#[allow(dead_code, unused_imports, reason = "shared with tests/it, which uses all of it")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod registry;
mod runs;

mod cuts;
mod good;
mod times;
mod vices;

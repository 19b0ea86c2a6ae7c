//! Floor 6: the load tester.

pub mod report;

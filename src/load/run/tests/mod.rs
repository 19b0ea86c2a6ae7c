//! Runs against a registry that is none, with the clock in the tests' hands.

mod around;
mod ends;
mod fake;
mod loops;

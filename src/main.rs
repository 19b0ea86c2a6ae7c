//! The command line, and nothing else.

#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), std::env::vars_os().collect())
}

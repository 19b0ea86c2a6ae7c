use std::process::ExitCode;

use longshore::config::ConfigError;

/// What was typed or configured is wrong: `EX_USAGE` of BSD's `sysexits.h`.
const WRONG_USE: u8 = 64;

/// Ended by a signal, as a shell says it of a process that Ctrl-C killed.
pub(super) const INTERRUPTED: u8 = 130;

/// The same for SIGTERM.
pub(super) const TERMINATED: u8 = 143;

/// Says what the parser has to say: help is no error.
pub(super) fn of_usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match error.use_stderr() || printed.is_err() {
        true => ExitCode::from(WRONG_USE),
        false => ExitCode::SUCCESS,
    }
}

/// Says what is wrong with the configuration.
pub(super) fn of_configuration(error: &ConfigError) -> ExitCode {
    eprintln!("longshore: wrong configuration: {error}");
    ExitCode::from(WRONG_USE)
}

/// Says what is wrong with what was typed, where the parser could not know.
pub(super) fn of_wrong_use(cause: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("longshore: {cause}");
    ExitCode::from(WRONG_USE)
}

/// Says why the registry could not be started, or a command not be done.
pub(super) fn of_failure(cause: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("longshore: {cause}");
    ExitCode::FAILURE
}

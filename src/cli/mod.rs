//! What can be typed, and what it does.

mod arguments;
mod exit;
mod serve;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use longshore::config::Config;

use self::arguments::{Arguments, Command, ConfigArguments};

/// Runs one command line in an environment.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => return exit::of_usage(&error),
    };
    match command {
        Command::Serve(arguments) => match Config::load(&arguments.sources(environment)) {
            Ok(config) => serve::serve(config),
            Err(error) => exit::of_configuration(&error),
        },
        Command::CheckConfig(arguments) => check_config(&arguments, environment),
        Command::Version => print(format!("longshore {}\n", env!("CARGO_PKG_VERSION")).as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "longshore", &mut script);
            print(&script)
        }
    }
}

fn check_config(arguments: &ConfigArguments, environment: Vec<(OsString, OsString)>) -> ExitCode {
    match Config::load(&arguments.sources(environment)) {
        Ok(config) => print(config.to_yaml().as_bytes()),
        Err(error) => exit::of_configuration(&error),
    }
}

/// To standard output, where a reader that went away (`| head`) is no reason to panic.
fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

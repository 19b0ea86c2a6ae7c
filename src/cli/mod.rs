//! What can be typed, and what it does.

mod admin_client;
mod admin_types;
mod arguments;
mod copy;
mod exit;
mod load;
mod pull;
mod push;
mod reload;
mod serve;
mod stdin;
mod text;
mod transfer;
mod uploads;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use longshore::config::Config;

use self::arguments::{Arguments, Command, ConfigArguments};
use self::text::print;

/// Runs one command line in an environment.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let (command, matches) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => return exit::of_usage(&error),
    };
    match command {
        Command::Serve(arguments) => {
            let sources = arguments.config.sources(environment);
            match Config::load(&sources) {
                Ok(config) => serve::serve(config, sources, arguments.until_stdin_ends),
                Err(error) => exit::of_configuration(&error),
            }
        }
        Command::CheckConfig(arguments) => check_config(&arguments, environment),
        Command::Uploads(command) => uploads::run(command, &matches, environment),
        Command::Load(arguments) => load::run(*arguments),
        Command::Push(arguments) => push::push(&arguments, &environment),
        Command::Pull(arguments) => pull::pull(&arguments, &environment),
        Command::Copy(arguments) => copy::copy(&arguments, &environment),
        Command::Reload(admin) => reload::reload(&admin),
        Command::Version => print(format!("longshore {}\n", env!("CARGO_PKG_VERSION")).as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "longshore", &mut script);
            print(&script)
        }
    }
}

/// What was typed, and where each value of it came from.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Command, clap::ArgMatches), clap::Error> {
    let matches = Arguments::command().try_get_matches_from(arguments)?;
    let command = Arguments::from_arg_matches(&matches)?.command;
    Ok((command, matches))
}

fn check_config(arguments: &ConfigArguments, environment: Vec<(OsString, OsString)>) -> ExitCode {
    match Config::load(&arguments.sources(environment)) {
        Ok(config) => print(config.to_yaml().as_bytes()),
        Err(error) => exit::of_configuration(&error),
    }
}

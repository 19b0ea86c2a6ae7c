//! `longshore load …`.

mod compare;
mod control;
mod merge;
mod render;
mod run;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use longshore::load::report::JSON_SCHEMA;

use super::text::print;

pub(super) use run::NOTES;

/// A run, unless it is another command.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LoadArguments {
    #[command(subcommand)]
    command: Option<LoadCommand>,
    #[command(flatten)]
    run: run::RunArguments,
}

#[derive(Subcommand)]
enum LoadCommand {
    /// Put registries under load and measure what they do; the same without this word
    #[command(after_help = run::NOTES)]
    Run(Box<run::RunArguments>),
    /// Receive, hash and write blobs, and nothing else: what a machine can do at best
    #[command(hide = true)]
    Control(control::ControlArguments),
    /// Show a report
    Render(render::RenderArguments),
    /// Add up the reports of several machines that ran at the same time
    #[command(after_help = merge::NOTES)]
    Merge(merge::MergeArguments),
    /// Set two reports side by side, and fail when figures got worse
    #[command(after_help = compare::NOTES)]
    Compare(compare::CompareArguments),
    /// Print the JSON Schema of reports
    Schema,
}

/// Does it.
pub(super) fn run(arguments: LoadArguments) -> ExitCode {
    let Some(command) = arguments.command else {
        return run::run(&arguments.run);
    };
    match command {
        LoadCommand::Run(arguments) => run::run(&arguments),
        LoadCommand::Control(arguments) => control::control(arguments),
        LoadCommand::Render(arguments) => render::render(&arguments),
        LoadCommand::Merge(arguments) => merge::merge(&arguments),
        LoadCommand::Compare(arguments) => compare::compare(&arguments),
        LoadCommand::Schema => print(JSON_SCHEMA.as_bytes()),
    }
}

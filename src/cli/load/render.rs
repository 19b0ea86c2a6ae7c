//! `longshore load render`, and what the other commands tell of a report.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use longshore::load::report::{Report, html, replace, summary};

use crate::cli::exit;
use crate::cli::text::print;

#[derive(Args)]
pub(in crate::cli) struct RenderArguments {
    /// A report
    #[arg(value_name = "REPORT.json", value_hint = clap::ValueHint::FilePath)]
    report: PathBuf,
    #[command(flatten)]
    out: ReportOut,
}

/// Where a report goes beside the terminal.
#[derive(Args)]
pub(in crate::cli) struct ReportOut {
    /// A file for a page with charts, which needs nothing else
    #[arg(long, value_name = "OUT.html", value_hint = clap::ValueHint::FilePath)]
    pub(super) html: Option<PathBuf>,
}

/// Tells what is in a report.
pub(in crate::cli) fn render(arguments: &RenderArguments) -> ExitCode {
    match Report::read(&arguments.report) {
        Ok(report) => deliver(&report, &arguments.out),
        Err(error) => exit::of_failure(&error),
    }
}

/// Writes the page if one is wanted, and prints the summary.
pub(super) fn deliver(report: &Report, out: &ReportOut) -> ExitCode {
    if let Some(path) = &out.html
        && let Err(error) = replace(path, html(report).as_bytes())
    {
        return exit::of_failure(&error);
    }
    print(summary(report).as_bytes())
}

//! `longshore load merge`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use longshore::load::report::{Report, merge as add_up};

use super::render::{ReportOut, deliver};
use crate::cli::exit;

pub(in crate::cli) const NOTES: &str = "\
Counts and histograms are added exactly, seconds are aligned by the time of day: the machines' clocks must agree. The
reports must be of runs at the same time against the same targets, and each of them is given once.
";

#[derive(Args)]
pub(in crate::cli) struct MergeArguments {
    /// Reports of the machines that ran at the same time
    #[arg(required = true, num_args = 2.., value_name = "REPORT.json", value_hint = clap::ValueHint::FilePath)]
    reports: Vec<PathBuf>,
    /// Where their sum goes
    #[arg(long, short, value_name = "OUT.json", value_hint = clap::ValueHint::FilePath)]
    output: PathBuf,
    #[command(flatten)]
    out: ReportOut,
}

/// Adds the reports up, and tells what came out.
pub(in crate::cli) fn merge(arguments: &MergeArguments) -> ExitCode {
    if let Err(error) = refuse_same_files(&arguments.reports, &arguments.output) {
        return exit::of_wrong_use(&error);
    }
    let read = |path: &PathBuf| Report::read(path).map(|report| (path.display().to_string(), report));
    let reports: Vec<_> = match arguments.reports.iter().map(read).collect::<Result<_, _>>() {
        Ok(reports) => reports,
        Err(error) => return exit::of_failure(&error),
    };
    let sum = match add_up(&reports) {
        Ok(sum) => sum,
        Err(error) => return exit::of_failure(&error),
    };
    if let Err(error) = sum.write(&arguments.output) {
        return exit::of_failure(&error);
    }
    deliver(&sum, &arguments.out)
}

/// A report that is given twice would count twice, and one that is written over would be lost.
fn refuse_same_files(reports: &[PathBuf], output: &Path) -> Result<(), String> {
    let files: Vec<PathBuf> = reports.iter().map(|path| real(path)).collect();
    for (index, file) in files.iter().enumerate() {
        if files[..index].contains(file) {
            return Err(format!("{} is given twice", reports[index].display()));
        }
    }
    match files.contains(&real(output)) {
        true => Err(format!("{} is one of the reports: their sum goes elsewhere", output.display())),
        false => Ok(()),
    }
}

/// Where a path leads; what is not there is only itself.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

//! `longshore load compare`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use longshore::load::report::{Limit, Limits, Report, Share, compare as set_side_by_side, replace};

use super::render::ReportOut;
use crate::cli::exit;
use crate::cli::text::print;

pub(in crate::cli) const NOTES: &str = "\
Examples:
  longshore load compare before.json now.json
      Side by side.

  longshore load compare before.json now.json --max-regression 10%
      Ends with status 1 when anything got more than a tenth worse.

  longshore load compare before.json now.json --max-regression 10% --limit push-streamed.p99=25% --limit memory=any
      The same, with more room for one figure and any for another.

  longshore load compare here.json there.json --by-control --limit longshore/throughput=5%
      One figure of one target, each report's set against its own control: for reports of different machines.

Figures: throughput, requests, tasks, errors, cpu-per-gib, cpu-per-request, memory, and p50 and p99 of each workload and
operation (push-streamed.p50, upload.patch.p99). Worse is less where more is better, and more where less is. Percentiles of
few requests (10 for p50, 100 for p99) and figures that only one report has are under no limit but their own.
";

#[derive(Args)]
pub(in crate::cli) struct CompareArguments {
    /// The report from before
    #[arg(value_name = "BEFORE.json", value_hint = clap::ValueHint::FilePath)]
    before: PathBuf,
    /// The report that is set against it
    #[arg(value_name = "NOW.json", value_hint = clap::ValueHint::FilePath)]
    after: PathBuf,
    /// By how much any figure may get worse
    #[arg(long, value_name = "PERCENT")]
    max_regression: Option<Share>,
    /// By how much one figure may get worse; may be given several times
    #[arg(long, value_name = "[TARGET/]FIGURE=PERCENT|any")]
    limit: Vec<Limit>,
    /// Hold limits against what figures are of the control's
    #[arg(long)]
    by_control: bool,
    #[command(flatten)]
    out: ReportOut,
}

/// Sets the reports side by side; fails when a figure got worse than it may.
pub(in crate::cli) fn compare(arguments: &CompareArguments) -> ExitCode {
    let (before, after) = match (Report::read(&arguments.before), Report::read(&arguments.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(error), _) | (_, Err(error)) => return exit::of_failure(&error),
    };
    let comparison = match set_side_by_side(&before, &after) {
        Ok(comparison) => comparison,
        Err(error) => return exit::of_failure(&error),
    };
    let limits = Limits {
        all: arguments.max_regression.map(|share| share.0),
        single: arguments.limit.clone(),
        by_control: arguments.by_control,
    };
    let regressions = match limits.check(&comparison) {
        Ok(regressions) => regressions,
        Err(error) => return exit::of_wrong_use(&error),
    };
    if let Some(path) = &arguments.out.html {
        let names = [&arguments.before, &arguments.after].map(|path| path.display().to_string());
        let page = comparison.html((&names[0], &before), (&names[1], &after), &regressions);
        if let Err(error) = replace(path, page.as_bytes()) {
            return exit::of_failure(&error);
        }
    }
    let printed = print(comparison.summary(&regressions).as_bytes());
    if regressions.is_empty() { printed } else { ExitCode::FAILURE }
}

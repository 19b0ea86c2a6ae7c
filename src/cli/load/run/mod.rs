//! `longshore load`: a run of the load tester.

mod arguments;
mod words;

use std::process::ExitCode;

use longshore::load::live;
use longshore::load::plan::Plan;
use longshore::load::report::Report;
use longshore::load::run::{self, RunError, RunOptions, Stopper};
use longshore::load::workloads::HttpDriver;
use tokio::signal::unix::{SignalKind, signal};

pub(in crate::cli) use self::arguments::RunArguments;
use super::render::{ReportOut, deliver};
use crate::cli::exit;

pub(in crate::cli) const NOTES: &str = "\
Examples:
  longshore load --embedded --workload push-streamed
      Push for 30 seconds to a longshore that is started for it.

  longshore load --target old=127.0.0.1:5000 --target new=127.0.0.1:5002 --workload push-chunked --workers 32 \\
      --size 64MiB --duration 1m --json run.json --html run.html
      Two registries side by side, in turns of five seconds.

  longshore load --target 127.0.0.1:5000 --workload 'resume cuts=reset,half-close times=3 weight=2' \\
      --workload pull-whole --rate 50
      Cut pushes and pulls, 50 a second whatever the registry does.

  longshore load --plan config/load/resume-storm.yaml --embedded
      A plan from a file.

Registries on other machines are put under load only with --i-am-in-charge-of and their host's name. Ctrl-C ends a run
within a second, with its report and the status 130; another one ends it at once. The status is 1 when a registry was
found not to hold to what it acknowledged, and 64 when the plan is wrong.
";

/// Runs a plan.
pub(in crate::cli) fn run(arguments: &RunArguments) -> ExitCode {
    let plan = match read_plan(arguments) {
        Ok(plan) => plan,
        Err(problem) => return exit::of_wrong_use(&problem),
    };
    longshore::http::raise_open_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::of_failure(&error),
    };
    let files = plan.report.clone();
    let options = RunOptions { plan, in_charge_of: arguments.i_am_in_charge_of.clone(), program: None };
    let ended = runtime.block_on(run_until_interrupted(options, arguments.quiet));
    // What still computes content that nobody wants any more is not waited for.
    runtime.shutdown_background();
    let report = match ended {
        Ok(report) => report,
        Err(error @ (RunError::NotOurs { .. } | RunError::Process { .. })) => return exit::of_wrong_use(&error),
        Err(error) => return exit::of_failure(&error),
    };
    if let Some(path) = &files.json
        && let Err(error) = report.write(path)
    {
        return exit::of_failure(&error);
    }
    let delivered = deliver(&report, &ReportOut { html: files.html });
    let found: u64 = report.targets.iter().map(|target| target.verification.found).sum();
    match (report.interrupted, found) {
        (true, _) => ExitCode::from(exit::INTERRUPTED),
        (false, 0) => delivered,
        (false, _) => ExitCode::FAILURE,
    }
}

fn read_plan(arguments: &RunArguments) -> Result<Plan, String> {
    let file = match &arguments.plan {
        Some(path) => {
            let text = std::fs::read_to_string(path);
            let text = text.map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            Some((path.display().to_string(), text))
        }
        None => None,
    };
    let file = file.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
    let mut plan = Plan::read(file, &arguments.settings()).map_err(|error| format!("the plan is wrong: {error}"))?;
    if let Some(pid) = arguments.server_pid {
        match &mut plan.targets[..] {
            [target] => target.server_pid = Some(pid),
            targets => {
                return Err(format!(
                    "--server-pid is for one target, and there are {}: write --target 'name=address server_pid={pid}'",
                    targets.len()
                ));
            }
        }
    }
    Ok(plan)
}

/// Ctrl-C, or SIGTERM, breaks the run off; another one ends the process at once.
async fn run_until_interrupted(options: RunOptions, quiet: bool) -> Result<Report, RunError> {
    let stopper = Stopper::new();
    let stop = stopper.signal();
    // Taken before anything is begun, so that a signal that comes meanwhile is not lost.
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    // A task of its own, so that the second one counts also while something blocks.
    let interrupts = tokio::spawn(async move {
        // Without them, a signal ends the process as it does any other.
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
        let mut told = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        told().await;
        stopper.now();
        told().await;
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    let mut observer = live::on_standard_error(quiet, |name| std::env::var_os(name));
    let ended = run::run(options, &HttpDriver::default(), &mut *observer, stop).await;
    interrupts.abort();
    ended
}

//! `longshore uploads purge`.

mod offline;
mod progress;

use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, error::ErrorKind};
use serde_json::json;

use self::progress::Progress;
use super::report::outcome;
use crate::cli::admin_client::{AdminArguments, AdminClient, AdminError};
use crate::cli::admin_types::{Moment, Report};
use crate::cli::arguments::{Arguments, ConfigArguments};
use crate::cli::exit;
use crate::cli::text::{print, printable_json};

pub(super) const NOTES: &str = "\
Examples:
  longshore uploads purge --dry-run
      What a registry that runs would remove from its storage.

  longshore uploads purge --offline --config longshore.yaml
      Remove it while no registry runs on that storage.

The rules are those of the registry's configuration (uploads.idle_timeout, uploads.max_age). Ctrl-C leaves the look going
on at the server. The status is 1 if something could not be looked at or removed.
";

/// How often a running scan is asked how far it is.
const POLL: Duration = Duration::from_millis(500);

/// How many answers in a row may fail before a scan is given up.
const PATIENCE: u32 = 5;

#[derive(Args)]
pub(crate) struct PurgeArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// Remove nothing, only tell what would be
    #[arg(long)]
    dry_run: bool,
    /// A JSON document at the end, as the admin API answers it
    #[arg(long)]
    json: bool,
    /// Work on the storage itself while no registry runs on it, under its lock, by the configuration that serve would
    /// have
    #[arg(long)]
    offline: bool,
    #[command(flatten, next_help_heading = "With --offline, as for serve")]
    config: ConfigArguments,
}

pub(super) fn purge(
    arguments: &PurgeArguments,
    matches: &ArgMatches,
    environment: Vec<(OsString, OsString)>,
) -> ExitCode {
    if let Some(problem) = misplaced_flag(arguments.offline, matches) {
        return exit::of_usage(&Arguments::command().error(ErrorKind::ArgumentConflict, problem));
    }
    if arguments.offline {
        return offline::purge(&arguments.config.sources(environment), arguments.dry_run, arguments.json);
    }
    arguments.admin.run(async |client| {
        tokio::select! {
            outcome = online(&client, arguments) => outcome,
            // A handler that cannot be set up leaves the signal's own effect.
            Ok(()) = tokio::signal::ctrl_c() => {
                eprintln!("longshore: the registry goes on; see `longshore uploads scan-status`");
                ExitCode::from(exit::INTERRUPTED)
            }
        }
    })
}

async fn online(client: &AdminClient, arguments: &PurgeArguments) -> ExitCode {
    match follow(client, arguments.dry_run).await {
        Ok((json, _)) if arguments.json && print((printable_json(&json) + "\n").as_bytes()) != ExitCode::SUCCESS => {
            ExitCode::FAILURE
        }
        Ok((_, report)) => conclusion(&report, arguments.json),
        Err(error) => exit::of_failure(&error),
    }
}

/// Why there is no report of the scan that was begun.
enum FollowError {
    Admin(AdminError),
    /// It ended, and another one began before it was asked for again.
    Replaced,
}

impl From<AdminError> for FollowError {
    fn from(error: AdminError) -> Self {
        FollowError::Admin(error)
    }
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FollowError::Admin(error) => error.fmt(f),
            FollowError::Replaced => f.write_str("the scan ended and another one has begun; its own report is gone"),
        }
    }
}

/// Begins a scan and waits for its end.
async fn follow(client: &AdminClient, dry_run: bool) -> Result<(String, Report), FollowError> {
    let (mut json, mut report) = client.post::<Report>(&["scan"], &[], json!({"dry_run": dry_run})).await?;
    let begun = report.started_at;
    let mut progress = Progress::start();
    let mut failures = 0;
    while report.running {
        progress.show(&report);
        tokio::time::sleep(POLL).await;
        match client.get::<Report>(&["scan"], &[]).await {
            Ok((_, other)) if begun.is_some() && other.started_at != begun => return Err(FollowError::Replaced),
            Ok(now) => {
                (json, report) = now;
                failures = 0;
            }
            Err(error @ AdminError::Refused { .. }) => return Err(error.into()),
            Err(error) => {
                failures += 1;
                if failures == PATIENCE {
                    return Err(error.into());
                }
            }
        }
    }
    progress.end();
    Ok((json, report))
}

/// The findings, unless they were printed as JSON, and the status.
fn conclusion(report: &Report, is_printed: bool) -> ExitCode {
    if !is_printed && print(outcome(report, Moment::now()).as_bytes()) != ExitCode::SUCCESS {
        return ExitCode::FAILURE;
    }
    match report.failed {
        0 => ExitCode::SUCCESS,
        failed => exit::of_failure(&format_args!("{failed} could not be looked at or removed; the log says why")),
    }
}

/// A flag that would be passed over: the configuration's without `--offline`, the admin API's with it. Environment
/// variables may be set for other commands.
fn misplaced_flag(is_offline: bool, matches: &ArgMatches) -> Option<String> {
    let matches = matches.subcommand_matches("uploads")?.subcommand_matches("purge")?;
    let of_both = clap::Command::new("");
    let (flags, problem) = match is_offline {
        false => (ConfigArguments::augment_args(of_both), "is of use with --offline only"),
        true => (AdminArguments::augment_args(of_both), "is of no use with --offline"),
    };
    let is_typed = |flag: &&clap::Arg| matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine);
    let flag = flags.get_arguments().find(is_typed)?;
    Some(format!("--{} {problem}", flag.get_long().unwrap_or_default()))
}

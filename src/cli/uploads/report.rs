//! What a look through the storage found; `longshore uploads scan-status`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::admin_client::AdminArguments;
use crate::cli::admin_types::{Moment, Report};
use crate::cli::exit;
use crate::cli::text::{Table, print, printable_json, size, time};

#[derive(Args)]
pub(crate) struct ScanStatusArguments {
    #[command(flatten)]
    admin: AdminArguments,
    /// A JSON document, as the admin API answers it
    #[arg(long)]
    json: bool,
}

pub(super) fn scan_status(arguments: &ScanStatusArguments) -> ExitCode {
    arguments.admin.run(async |client| match client.get::<Report>(&["scan"], &[]).await {
        Ok((json, _)) if arguments.json => print((printable_json(&json) + "\n").as_bytes()),
        Ok((_, report)) => print(status(&report, Moment::now()).as_bytes()),
        Err(error) => exit::of_failure(&error),
    })
}

fn status(report: &Report, now: Moment) -> String {
    let dry = if report.dry_run { " (dry run)" } else { "" };
    let head = match (report.started_at, report.finished_at) {
        (None, _) => return "there was none since the registry started\n".to_owned(),
        (Some(started), _) if report.running => format!("running{dry} for {}\n", time(now.since(started))),
        (Some(started), Some(finished)) => {
            format!("ended{dry} {} ago after {}\n", time(now.since(finished)), time(finished.since(started)))
        }
        (Some(started), None) => format!("broken off{dry}; begun {} ago\n", time(now.since(started))),
    };
    head + &outcome(report, now)
}

/// The findings as a table, and the totals.
pub(super) fn outcome(report: &Report, now: Moment) -> String {
    let mut text = String::new();
    if !report.findings.is_empty() {
        let mut table = Table::new(["REPOSITORY", "NAME", "SIZE", "IDLE", "REASON"]);
        for finding in &report.findings {
            table.row([
                finding.repository.clone(),
                finding.name.clone(),
                size(finding.bytes),
                finding.progress_at.map_or_else(|| "-".to_owned(), |at| time(now.since(at))),
                finding.reason.clone(),
            ]);
        }
        text += &table.render();
        let listed = report.findings.len();
        if u64::try_from(listed).is_ok_and(|listed| listed < report.removed) {
            text += &format!("… and {} more\n", report.removed - listed as u64);
        }
    }
    text + &totals(report) + "\n"
}

/// In one line, while it runs and at its end.
pub(super) fn totals(report: &Report) -> String {
    let removed = match report.dry_run {
        true => "would expire or be removed",
        false => "expired or removed",
    };
    format!(
        "{} in {}: {} {removed} ({}), {} new to the registry, {} failed",
        counted(report.uploads, "upload", "uploads"),
        counted(report.repositories, "repository", "repositories"),
        report.removed,
        size(report.removed_bytes),
        report.adopted,
        report.failed,
    )
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

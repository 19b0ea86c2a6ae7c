//! `longshore uploads purge --offline`.

use std::process::ExitCode;

use longshore::app::{purge_offline, start_log};
use longshore::config::{Config, Sources, StorageDriver};
use longshore::upload::ScanReport;

use super::conclusion;
use super::progress::Progress;
use crate::cli::admin_types::Report;
use crate::cli::exit;
use crate::cli::text::{print, printable_json};

pub(super) fn purge(sources: &Sources, dry_run: bool, json: bool) -> ExitCode {
    let config = match Config::load(sources) {
        Ok(config) => config,
        Err(error) => return exit::of_configuration(&error),
    };
    if let Some(problem) = nothing_there(&config) {
        return exit::of_wrong_use(&problem);
    }
    if let Err(error) = start_log(&config.log) {
        return exit::of_failure(&error);
    }
    let mut progress = Progress::start();
    let show = |report: &ScanReport| progress.show(&Report::from(report));
    let outcome = actix::System::new().block_on(purge_offline(config, dry_run, show));
    progress.end();
    match outcome {
        Ok(report) => conclude(&Report::from(&report), json),
        Err(error) => exit::of_failure(&error),
    }
}

fn conclude(report: &Report, json: bool) -> ExitCode {
    if json {
        let printed = match serde_json::to_string(report) {
            Ok(text) => print((printable_json(&text) + "\n").as_bytes()),
            Err(error) => exit::of_failure(&error),
        };
        if printed != ExitCode::SUCCESS {
            return printed;
        }
    }
    conclusion(report, json)
}

/// A mistyped folder would be made, found empty, and called clean.
fn nothing_there(config: &Config) -> Option<String> {
    let root = &config.storage.filesystem.root;
    match config.storage.driver {
        StorageDriver::Memory => {
            Some("storage.driver is memory, of which nothing is left without a registry".to_owned())
        }
        StorageDriver::Filesystem if !root.is_dir() => {
            Some(format!("storage.filesystem.root: {} is not a folder", root.display()))
        }
        StorageDriver::Filesystem => None,
    }
}

//! Work on the storage of a registry that is stopped.

use std::time::Duration;

use super::{StartError, content_options, open_storage, start_engine, start_hashing, storage};
use crate::config::Config;
use crate::content::Content;
use crate::telemetry::Metrics;
use crate::upload::ScanReport;

/// How often the caller is told how far it is.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Looks through the storage of a stopped registry for uploads that nobody goes on with, and removes them, or with
/// `dry_run` tells only which. `progress` is told now and then how far it is. Must be called within an actix system.
///
/// # Errors
/// [`StartError`] when the storage cannot be used; another process may hold it.
pub async fn purge_offline(
    config: Config,
    dry_run: bool,
    mut progress: impl FnMut(&ScanReport),
) -> Result<ScanReport, StartError> {
    let metrics = Metrics::unregistered();
    let driver = storage::wrap(open_storage(&config)?, &config.storage, &metrics);
    let content = Content::new(driver.clone(), content_options(&config), metrics.clone());
    let hashes = start_hashing(&config, &metrics)?;
    let engine = start_engine(&config, &driver, &content, &metrics, hashes, false)?;
    // Nobody is served meanwhile, so it need not rest.
    engine.start_scan_without_rests(dry_run);
    loop {
        tokio::select! {
            () = engine.scan_ended() => break,
            () = tokio::time::sleep(TOLD_EVERY) => progress(&engine.scan_report()),
        }
    }
    let report = engine.scan_report();
    engine.drain().await;
    Ok(report)
}

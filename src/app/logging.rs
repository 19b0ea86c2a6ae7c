//! The log of a configuration.

use crate::config::{LogConfig, LogFilter, LogFormat};
use crate::telemetry;

/// What the HTTP library says of its own start is of no interest to an operator unless asked for.
const QUIET: (Option<&str>, log::LevelFilter) = (Some("actix_server"), log::LevelFilter::Warn);

/// Starts this process's log.
///
/// # Errors
/// When a log has been started before.
pub fn start_log(config: &LogConfig) -> Result<(), log::SetLoggerError> {
    let format = match config.format {
        LogFormat::Text => telemetry::LogFormat::Text,
        LogFormat::Json => telemetry::LogFormat::Json,
    };
    telemetry::start_log(format, levels(&config.level))
}

/// Puts other levels in force; `false` when the process logs in a way of its own.
pub(super) fn change_levels(filter: &LogFilter) -> bool {
    telemetry::change_log_levels(levels(filter))
}

fn levels(filter: &LogFilter) -> impl Iterator<Item = (Option<&str>, log::LevelFilter)> {
    let said = filter.directives().iter().map(|directive| (directive.target.as_deref(), directive.level));
    [QUIET].into_iter().chain(said)
}

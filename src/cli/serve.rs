//! `longshore serve`.

use std::process::ExitCode;

use longshore::app::App;
use longshore::config::{self, Config};
use longshore::telemetry::{LogFormat, start_log};
use tokio::signal::unix::{SignalKind, signal};

use super::exit;

/// With which status a second SIGTERM or SIGINT ends the process, as a shell says it of one that Ctrl-C killed.
const INTERRUPTED: u8 = 130;

/// Serves until SIGTERM or SIGINT. A second one does not wait for running requests.
pub(super) fn serve(config: Config) -> ExitCode {
    if let Err(error) = start_logging(&config) {
        return exit::of_failure(&error);
    }
    actix::System::new().block_on(async {
        // Taken before anything is begun, so that a signal that comes meanwhile is not lost.
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
            return exit::of_failure(&"signals cannot be received");
        };
        let grace = config.http.shutdown_grace;
        let app = match App::start(config).await {
            Ok(app) => app,
            Err(error) => return exit::of_failure(&error),
        };
        let mut told_to_end = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        told_to_end().await;
        log::info!(grace:?; "stopping when running requests have ended; another signal stops at once");
        tokio::select! {
            () = app.stop() => ExitCode::SUCCESS,
            () = told_to_end() => {
                log::warn!("stopped at once; unfinished uploads can be gone on with from what was acknowledged");
                ExitCode::from(INTERRUPTED)
            }
        }
    })
}

fn start_logging(config: &Config) -> Result<(), log::SetLoggerError> {
    let format = match config.log.format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    };
    let levels = config.log.level.directives().iter().map(|directive| (directive.target.as_deref(), directive.level));
    // What the HTTP library says of its own start is of no interest to an operator unless asked for.
    let quiet = [(Some("actix_server"), log::LevelFilter::Warn)];
    start_log(format, quiet.into_iter().chain(levels))
}

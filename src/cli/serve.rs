//! `longshore serve`.

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;

use longshore::app::{App, Reloader, start_log};
use longshore::config::{Config, Sources};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{exit, stdin};

/// Serves until SIGTERM or SIGINT, or until standard input ends if told so. A second signal does not wait for running
/// requests. SIGHUP reloads the configuration from `sources`, which `config` was loaded from.
pub(super) fn serve(config: Config, sources: Sources, until_stdin_ends: bool) -> ExitCode {
    if let Err(error) = start_log(&config.log) {
        return exit::of_failure(&error);
    }
    actix::System::new().block_on(async {
        // Taken before anything is begun, so that a signal that comes meanwhile is not lost.
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
        let (Ok(mut terminate), Ok(mut interrupt), Ok(hangup)) = signals else {
            return exit::of_failure(&"signals cannot be received");
        };
        let grace = config.http.shutdown_grace;
        let app = match App::start_from(config, Some(sources)).await {
            Ok(app) => app,
            Err(error) => return exit::of_failure(&error),
        };
        if let Some(reloader) = app.reloader() {
            tokio::task::spawn_local(reload_on(hangup, Arc::clone(reloader)));
        }
        let mut told_to_end = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        tokio::select! {
            () = told_to_end() => {}
            () = async { if until_stdin_ends { stdin::ended().await } else { pending().await } } => {}
        }
        log::info!(grace:?; "stopping when running requests have ended; another signal stops at once");
        tokio::select! {
            () = app.stop() => ExitCode::SUCCESS,
            () = told_to_end() => {
                log::warn!("stopped at once; unfinished uploads can be gone on with from what was acknowledged");
                ExitCode::from(exit::INTERRUPTED)
            }
        }
    })
}

/// Reloads on each signal, for as long as the process lives.
async fn reload_on(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        let reloader = Arc::clone(&reloader);
        // What changed is logged where it changes.
        match tokio::task::spawn_blocking(move || reloader.reload()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::error!(error:% = error; "configuration is wrong, the old one stays in force"),
            Err(error) => log::error!(error:% = error; "configuration could not be reloaded"),
        }
    }
}

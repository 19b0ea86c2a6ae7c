//! `longshore load control`.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Args;
use longshore::app::start_log;
use longshore::config::{LogConfig, LogFormat};
use longshore::load::control::Control;
use longshore::load::server::OwnFolder;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{exit, stdin};

#[derive(Args)]
pub(in crate::cli) struct ControlArguments {
    /// Where it listens; port 0 is any free one, which the log tells
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// The folder in which it makes one of its own, which goes when it ends
    #[arg(long, value_name = "FOLDER", value_hint = clap::ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// End when standard input does
    #[arg(long)]
    until_stdin_ends: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(in crate::cli) fn control(arguments: ControlArguments) -> ExitCode {
    if let Err(error) = start_log(&LogConfig { format: LogFormat::Json, ..LogConfig::default() }) {
        return exit::of_failure(&error);
    }
    if !arguments.addr.ip().is_loopback() {
        return exit::of_failure(&format_args!(
            "{} can be reached from other machines, and the control takes whatever anybody sends",
            arguments.addr
        ));
    }
    longshore::http::raise_open_file_limit();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::of_failure(&error),
    };
    runtime.block_on(async {
        // Taken before anything is begun, so that a signal that comes meanwhile leaves nothing.
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return exit::of_failure(&"signals cannot be received");
        };
        let folder = match OwnFolder::create(arguments.folder.as_deref()) {
            Ok(folder) => folder,
            Err(error) => return exit::of_failure(&error),
        };
        let started = Control::bind(arguments.addr, folder.path().to_owned())
            .and_then(|control| thread::Builder::new().name("accept".to_owned()).spawn(move || control.serve()));
        if let Err(error) = started {
            return exit::of_failure(&format_args!("cannot listen on {}: {error}", arguments.addr));
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = async { if arguments.until_stdin_ends { stdin::ended().await } else { pending().await } } => {}
        }
        // The folder goes here; connections end with the process.
        ExitCode::SUCCESS
    })
}

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use log::{LevelFilter, warn};
use longshore::client::Credentials;
use longshore::telemetry::{LogFormat, start_log};
use longshore::transfer::{CopyOptions, Destination, Journal, Source, copy};
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{OutputArguments, RegistryArguments};
use super::connect::password;
use super::outcome::{Done, Problem};
use super::show::Show;
use crate::cli::exit;
use crate::cli::text::printable;

/// What a command has while it runs.
#[derive(Clone)]
pub(in crate::cli) struct Session {
    show: Arc<Show>,
    journal_folder: Option<PathBuf>,
    credentials: Option<Credentials>,
}

impl Session {
    /// Those of `--user`.
    pub(in crate::cli) fn credentials(&self) -> Option<Credentials> {
        self.credentials.clone()
    }

    /// Where uploads are noted. Without one, a push that is cut begins anew.
    pub(in crate::cli) async fn journal(&self) -> Option<Journal> {
        let folder = self.journal_folder.as_ref()?;
        match Journal::open(folder).await {
            Ok(journal) => Some(journal),
            Err(error) => {
                let folder = folder.display().to_string();
                warn!(folder, error:% = error; "what is pushed cannot be noted, and not be gone on with");
                None
            }
        }
    }

    /// Copies one thing and says so.
    pub(in crate::cli) async fn copy(
        &self,
        source: Source,
        destination: Destination,
        options: CopyOptions,
    ) -> Result<Done, Problem> {
        let name = named(&destination);
        let copied = copy(source, destination, options, self.show.clone()).await?;
        Ok(Done { name, copied })
    }

    /// Says what takes a while.
    pub(in crate::cli) fn note(&self, text: &str) {
        self.show.note(text);
    }

    /// Tells what was done, when it is done for good.
    pub(in crate::cli) fn done(&self, done: &Done) {
        self.show.done(done);
    }
}

/// Runs a command until it is done or a signal ends it.
pub(in crate::cli) fn run<F: Future<Output = Result<(), Problem>>>(
    output: &OutputArguments,
    registry: &RegistryArguments,
    environment: &[(OsString, OsString)],
    command: impl FnOnce(Session) -> F,
) -> ExitCode {
    // Fails when there is a log already, which is as good.
    let _ = start_log(LogFormat::Text, [(None, LevelFilter::Warn)]);
    let variable = |name: &str| Some(environment.iter().find(|(key, _)| key == name)?.1.clone());
    let journal_folder = Journal::usual_folder(variable);
    let show = Arc::new(Show::new(output));
    // Before signals are caught: nothing would notice one while this waits for input.
    let credentials = match password(registry) {
        Ok(credentials) => credentials,
        Err(cause) => return exit::of_wrong_use(&cause),
    };
    let session = Session { show: show.clone(), journal_folder, credentials };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::of_failure(&format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(until_signal(command(session)));
    // Files that are just being written are taken up by the next run as they are.
    runtime.shutdown_background();
    show.end();
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Problem(Problem::Usage(cause))) => exit::of_wrong_use(&printable(&cause)),
        Ok(Ended::Problem(Problem::Failed(cause))) => {
            show.failed(&cause);
            exit::of_failure(&printable(&cause))
        }
        Ok(Ended::Signal(status)) => {
            show.interrupted();
            eprintln!("longshore: interrupted; the same command goes on where it was");
            ExitCode::from(status)
        }
        Err(error) => exit::of_failure(&format!("cannot start: {error}")),
    }
}

enum Ended {
    Done,
    Problem(Problem),
    /// With the status that says so.
    Signal(u8),
}

/// Whatever the command was doing is dropped when a signal comes.
async fn until_signal(command: impl Future<Output = Result<(), Problem>>) -> io::Result<Ended> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        done = command => done.map_or_else(Ended::Problem, |()| Ended::Done),
        _ = interrupt.recv() => Ended::Signal(exit::INTERRUPTED),
        _ = terminate.recv() => Ended::Signal(exit::TERMINATED),
    })
}

fn named(destination: &Destination) -> String {
    let (place, tag) = match destination {
        Destination::Repository { end, tag, .. } => (end.to_string(), tag),
        Destination::Layout { writer, tag } => (writer.root().display().to_string(), tag),
    };
    match tag {
        Some(tag) => format!("{place}:{tag}"),
        None => place,
    }
}

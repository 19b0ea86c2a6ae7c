//! `longshore uploads …`.

mod end;
mod filter;
mod list;
mod purge;
mod report;
mod show;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgMatches, Subcommand};

use self::end::{End, EndArguments};
use self::list::ListArguments;
use self::purge::PurgeArguments;
use self::report::ScanStatusArguments;
use self::show::ShowArguments;
use self::watch::WatchArguments;

pub(super) const EXAMPLES: &str = "\
Examples:
  longshore uploads list --state writing --sort rate --desc
      Who pushes what, the fastest first.

  longshore uploads show 3f0f3f0c-6f56-4b3e-8a41-6e0f4c4a7c11
      One upload, with what is left of an expired one.

  longshore uploads cancel 3f0f3f0c-6f56-4b3e-8a41-6e0f4c4a7c11
      Ends it and removes its data. With expire it is kept for a look, as an upload that timed out.

  longshore uploads purge --dry-run
      What a look through the storage would remove.

  longshore uploads purge --offline --root /var/lib/longshore
      The same and remove it, while no registry runs there.

  longshore uploads list --json | jq -r '.uploads[] | select(.rate_bytes_per_second == 0) | .id'
      The uploads to which nothing comes now.

  longshore uploads watch
      A live view.

They speak to the admin server of a registry: --admin (LONGSHORE_ADMIN), and --token-file (LONGSHORE_ADMIN_TOKEN_FILE)
where the registry has an http.admin_token_file.
";

#[derive(Subcommand)]
pub(super) enum UploadsCommand {
    /// List uploads
    List(ListArguments),
    /// Show one upload
    Show(ShowArguments),
    /// End uploads and remove their data
    Cancel(EndArguments),
    /// Make uploads expire now; what they have is kept as long as uploads.keep_failed_for says
    Expire(EndArguments),
    /// Look through the storage for uploads that nobody goes on with, and remove them
    #[command(after_help = purge::NOTES)]
    Purge(PurgeArguments),
    /// Show the look through the storage that runs, or the last one
    ScanStatus(ScanStatusArguments),
    /// Show the uploads live, as top does processes
    #[command(after_help = watch::KEYS)]
    Watch(WatchArguments),
}

/// Runs one of them; `matches` are those of the whole command line.
pub(super) fn run(command: UploadsCommand, matches: &ArgMatches, environment: Vec<(OsString, OsString)>) -> ExitCode {
    match command {
        UploadsCommand::List(arguments) => list::list(&arguments),
        UploadsCommand::Show(arguments) => show::show(&arguments),
        UploadsCommand::Cancel(arguments) => end::end(&arguments, End::Cancel),
        UploadsCommand::Expire(arguments) => end::end(&arguments, End::Expire),
        UploadsCommand::Purge(arguments) => purge::purge(&arguments, matches, environment),
        UploadsCommand::ScanStatus(arguments) => report::scan_status(&arguments),
        UploadsCommand::Watch(arguments) => watch::watch(&arguments),
    }
}

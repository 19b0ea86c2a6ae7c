//! `longshore uploads watch`.

mod columns;
mod draw;
mod model;
mod run;
mod snapshot;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::filter::{FilterArguments, sort_values};
use crate::cli::admin_client::AdminArguments;
use crate::cli::exit;

pub(super) const KEYS: &str = "\
Keys:
  r a i d n    sort by rate, age, idle time, deadline, name; again: the other way round
  /            show only repositories whose name has the text in it; Esc ends that
  up, down     select an upload (also k and j, page up and down, home and end)
  c e          cancel the selected upload, make it expire; each after a question
  q, Ctrl-C    end
";

#[derive(Args)]
pub(crate) struct WatchArguments {
    #[command(flatten)]
    admin: AdminArguments,
    #[command(flatten)]
    filter: FilterArguments,
    /// By what they are sorted first
    #[arg(long, value_name = "BY", value_parser = sort_values(), default_value = "rate")]
    sort: String,
    /// How often the registry is asked
    #[arg(long, value_name = "TIME", value_parser = parse_interval, default_value = "1s")]
    interval: Duration,
}

pub(super) fn watch(arguments: &WatchArguments) -> ExitCode {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return exit::of_wrong_use(&"watch needs a terminal; for a program there is `longshore uploads list --json`");
    }
    arguments.admin.run(async |client| match run::run(client, arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::of_failure(&format_args!("terminal: {error}")),
    })
}

/// `500ms`, `2s`, `1m`: neither so short that it is a load, nor so long that nothing is live.
fn parse_interval(text: &str) -> Result<Duration, String> {
    const UNITS_IN_MILLISECONDS: [(&str, u64); 3] = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let number = |(unit, factor): (&str, u64)| text.strip_suffix(unit)?.parse::<u64>().ok()?.checked_mul(factor);
    let milliseconds = UNITS_IN_MILLISECONDS.into_iter().find_map(number);
    match milliseconds {
        Some(milliseconds @ 100..=3_600_000) => Ok(Duration::from_millis(milliseconds)),
        Some(_) => Err("it must be from 100ms to 60m".to_owned()),
        None => Err("it is not a time such as 500ms, 2s or 1m".to_owned()),
    }
}

//! What is seen of a copy: bars, plain lines, JSON, or nothing.

mod bars;
mod json;
mod lines;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use longshore::oci::Digest;
use longshore::transfer::{BlobOutcome, Event, Progress};

use self::bars::Bars;
use self::json::JsonLines;
use self::lines::Lines;
use super::arguments::OutputArguments;
use super::outcome::Done;
use crate::cli::text::{print, printable, size};

/// How often a blob's progress is told where lines cannot be written over.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) enum Show {
    Bars(Bars),
    Lines(Lines),
    Json(JsonLines),
    Quiet,
}

impl Show {
    pub(super) fn new(output: &OutputArguments) -> Show {
        match output {
            OutputArguments { json: true, .. } => Show::Json(JsonLines::default()),
            OutputArguments { quiet: true, .. } => Show::Quiet,
            _ if io::stderr().is_terminal() => Show::Bars(Bars::new()),
            _ => Show::Lines(Lines::default()),
        }
    }

    /// Something that takes a while and has no events of its own.
    pub(super) fn note(&self, text: &str) {
        match self {
            Show::Bars(bars) => bars.say(&printable(text)),
            Show::Lines(lines) => lines.say(&printable(text)),
            Show::Json(_) | Show::Quiet => {}
        }
    }

    /// To standard output, where scripts read it. A reader that went away changes nothing of what was done.
    pub(super) fn done(&self, done: &Done) {
        let line = match self {
            Show::Json(_) => done.to_json().to_string(),
            Show::Quiet => done.digest(),
            Show::Bars(_) | Show::Lines(_) => printable(&done.to_string()),
        };
        self.end();
        print(format!("{line}\n").as_bytes());
    }

    /// Gives the terminal free.
    pub(super) fn end(&self) {
        if let Show::Bars(bars) = self {
            bars.end();
        }
    }

    pub(super) fn failed(&self, cause: &str) {
        if let Show::Json(_) = self {
            json::print_line(&serde_json::json!({"event": "failed", "error": cause}));
        }
    }

    pub(super) fn interrupted(&self) {
        if let Show::Json(_) = self {
            json::print_line(&serde_json::json!({"event": "interrupted"}));
        }
    }
}

impl Progress for Show {
    fn event(&self, event: &Event<'_>) {
        match self {
            Show::Bars(bars) => bars.event(event),
            Show::Lines(lines) => lines.event(event),
            Show::Json(json) => json.event(event),
            Show::Quiet => {}
        }
    }
}

/// Enough of a digest to tell blobs apart.
fn short(digest: &Digest) -> &str {
    &digest.hex()[..12]
}

/// `3.0 MiB sent`, `already there`.
fn outcome_text(outcome: BlobOutcome) -> String {
    match outcome {
        BlobOutcome::Copied { sent_bytes, resumed_from: 0 } => format!("{} sent", size(sent_bytes)),
        BlobOutcome::Copied { sent_bytes, resumed_from } => {
            format!("{} sent, {} by an earlier run", size(sent_bytes), size(resumed_from))
        }
        BlobOutcome::AlreadyThere => "already there".to_owned(),
        BlobOutcome::Mounted => "mounted".to_owned(),
        BlobOutcome::KeptElsewhere => "left where it is".to_owned(),
    }
}

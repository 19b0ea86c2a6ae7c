use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore::oci::Digest;
use longshore::transfer::{Event, Progress};

use super::{outcome_text, short};
use crate::cli::text::{printable, size};

const OF_A_BLOB: &str = "  {prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {msg}";
const OF_ALL: &str = "  total        [{bar:30}] {bytes}/{total_bytes} {eta} {msg}";

/// A bar for each blob that is on its way, and one for all.
pub(in crate::cli::transfer) struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
}

struct State {
    total: ProgressBar,
    blobs: HashMap<Digest, ProgressBar>,
    expected: usize,
    done: usize,
}

impl Bars {
    pub(super) fn new() -> Bars {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = ProgressBar::hidden();
        Bars { all, state: Mutex::new(State { total, blobs: HashMap::new(), expected: 0, done: 0 }) }
    }

    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, bar) in state.blobs.drain() {
            bar.finish_and_clear();
        }
        state.total.finish_and_clear();
    }

    pub(super) fn say(&self, line: &str) {
        // When the terminal is gone there is nobody to tell.
        let _ = self.all.println(line);
    }
}

impl Progress for Bars {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Surveyed { blobs, blob_bytes, .. } => {
                state.total.finish_and_clear();
                state.total = self.all.add(bar(*blob_bytes, OF_ALL));
                (state.expected, state.done) = (*blobs, 0);
                state.tell_count();
            }
            Event::BlobBegun { digest, size_bytes, offset_bytes } => {
                // In the place of one that was begun before.
                state.forget(digest);
                let added = self.all.insert_before(&state.total, bar(*size_bytes, OF_A_BLOB));
                added.set_prefix(short(digest).to_owned());
                added.set_position(*offset_bytes);
                added.reset_eta();
                state.move_total(0, *offset_bytes);
                state.blobs.insert((*digest).clone(), added);
            }
            Event::BlobAdvanced { digest, offset_bytes } => {
                let Some(bar) = state.blobs.get(digest) else { return };
                let before = bar.position();
                bar.set_position(*offset_bytes);
                state.move_total(before, *offset_bytes);
            }
            Event::BlobInterrupted { digest, cause } => {
                let line = format!("  {} broke off, and goes on: {}", short(digest), printable(cause));
                self.say(&line);
            }
            Event::BlobDone { digest, size_bytes, outcome } => {
                state.forget(digest);
                state.move_total(0, *size_bytes);
                state.done += 1;
                state.tell_count();
                self.say(&format!("  {} {}, {}", short(digest), size(*size_bytes), outcome_text(*outcome)));
            }
            _ => {}
        }
    }
}

impl State {
    fn tell_count(&self) {
        self.total.set_message(format!("{} of {} blobs", self.done, self.expected));
    }

    /// Takes a blob's bar away, and what it had told out of the total.
    fn forget(&mut self, digest: &Digest) {
        if let Some(bar) = self.blobs.remove(digest) {
            let told = bar.position();
            bar.finish_and_clear();
            self.move_total(told, 0);
        }
    }

    fn move_total(&self, before: u64, now: u64) {
        self.total.set_position(self.total.position().saturating_add(now).saturating_sub(before));
    }
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates above are sound");
    ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden()).with_style(style.progress_chars("=> "))
}

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::cli::admin_types::Report;
use crate::cli::uploads::report::totals;

/// How often a line is written where lines cannot be written over.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How far a scan is, on standard error.
pub(super) struct Progress {
    is_terminal: bool,
    is_line_open: bool,
    last_line: Instant,
}

impl Progress {
    pub(super) fn start() -> Self {
        Progress { is_terminal: io::stderr().is_terminal(), is_line_open: false, last_line: Instant::now() }
    }

    pub(super) fn show(&mut self, report: &Report) {
        if self.is_terminal {
            self.is_line_open = true;
            // Written over with spaces behind it erased; without wrapping, which would leave lines behind.
            let _ = write!(io::stderr(), "\r\u{1b}[?7l{}\u{1b}[K\u{1b}[?7h", totals(report));
            let _ = io::stderr().flush();
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let _ = writeln!(io::stderr(), "{}", totals(report));
        }
    }

    /// Gives the line free for what comes then.
    pub(super) fn end(&mut self) {
        if std::mem::take(&mut self.is_line_open) {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

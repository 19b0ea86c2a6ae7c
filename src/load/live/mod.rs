//! What can be seen of a run while it runs.

mod draw;
mod spark;
mod terminal;

use std::time::Duration;

pub use self::terminal::on_standard_error;

/// Who looks at a run. The runner calls it about five times a second, from one thread.
pub trait Observer: Send {
    /// How it stands.
    fn show(&mut self, snapshot: &Snapshot);

    /// Something that should stay to be read: a finding, that the run is being stopped. One line; what could
    /// steer a terminal is escaped here.
    fn tell(&mut self, line: &str);

    /// Nothing comes any more; whatever was drawn makes room for the summary. Further calls do nothing.
    fn end(&mut self);
}

/// What a run does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Targets are started, and content that must be there is pushed.
    #[default]
    Preparing,
    /// Requests are made that are not counted.
    WarmingUp,
    /// Requests are made and counted.
    Measuring,
    /// What was pushed is looked up and compared.
    Verifying,
    /// What was pushed is deleted, open uploads are cancelled.
    Cleaning,
    /// Ctrl-C came.
    Stopping,
}

/// How a run stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// What it does.
    pub stage: Stage,
    /// Since its start.
    pub elapsed: Duration,
    /// How long it is to take in all; `None` where only a count ends it.
    pub total: Option<Duration>,
    /// Tasks that were done, whether well or not.
    pub tasks: u64,
    /// How many are to be done; `None` where only time ends it.
    pub total_tasks: Option<u64>,
    /// The name of the target whose turn it is; empty between two.
    pub target: String,
    /// Which turn this is, from 1; 0 before the first.
    pub turn: usize,
    /// How many turns there are in all.
    pub turns: usize,
    /// Tasks that were begun and are not done.
    pub in_flight: u64,
    /// Connections that are open.
    pub connections: u64,
    /// Bytes of content, in the last second.
    pub bytes_per_second: u64,
    /// Requests that ended, in the last second.
    pub requests_per_second: f64,
    /// Requests that failed, since the start.
    pub errors: u64,
    /// Half of the requests of the last seconds took no longer.
    pub p50_us: u64,
    /// 99 in 100 of the requests of the last seconds took no longer.
    pub p99_us: u64,
    /// Things that the targets acknowledged and do not hold to, since the start.
    pub findings: u64,
    /// The share of this machine's processors that the load tester uses, in the last second (1: all of them).
    pub generator_cpu_share: f64,
}

impl Snapshot {
    /// Which share of the run is behind it, 0 to 1, by time or by count, whichever ends it sooner; `None` where neither
    /// is known.
    pub fn share(&self) -> Option<f64> {
        let by_time = self.total.filter(|total| !total.is_zero()).map(|total| self.elapsed.div_duration_f64(total));
        let by_count = self.total_tasks.filter(|total| *total > 0).map(|total| self.tasks as f64 / total as f64);
        let share = by_time.into_iter().chain(by_count).reduce(f64::max)?;
        Some(share.clamp(0.0, 1.0))
    }
}

/// Nobody looks: `--quiet`, and runs without a command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unseen;

impl Observer for Unseen {
    fn show(&mut self, _snapshot: &Snapshot) {}

    fn tell(&mut self, _line: &str) {}

    fn end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_what_ends_the_run_sooner() {
        let snapshot = Snapshot { elapsed: Duration::from_secs(25), tasks: 30, ..Snapshot::default() };
        let share = |total: Option<u64>, total_tasks| {
            Snapshot { total: total.map(Duration::from_secs), total_tasks, ..snapshot.clone() }.share()
        };
        assert_eq!(share(None, None), None);
        assert_eq!(share(Some(100), None), Some(0.25));
        assert_eq!(share(Some(100), Some(40)), Some(0.75));
        assert_eq!(share(Some(0), Some(0)), None);
        assert_eq!(share(Some(1), Some(1000)), Some(1.0));
    }
}

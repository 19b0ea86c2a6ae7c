//! The load tester's own processor time, thread by thread.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use tokio::time::Instant;

/// Linux tells times in hundredths of a second to programs.
const TICK: Duration = Duration::from_millis(10);

/// The processor time of each thread at a moment.
pub(super) struct OwnCpu {
    at: Instant,
    threads: HashMap<String, Duration>,
}

/// What was used since.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Used {
    /// Of one processor, by the thread that used the most.
    pub(super) busiest_thread: f64,
    /// Of all processors.
    pub(super) all: f64,
}

impl OwnCpu {
    /// Now. Where the system does not tell, nothing seems to be used.
    pub(super) fn now() -> Self {
        let entries = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let read = |entry: fs::DirEntry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((entry.file_name().into_string().ok()?, cpu_time(&stat)?))
        };
        OwnCpu { at: Instant::now(), threads: entries.filter_map(read).collect() }
    }

    /// What was used between `before` and this.
    pub(super) fn since(&self, before: &OwnCpu) -> Used {
        let elapsed = (self.at - before.at).as_secs_f64();
        if elapsed <= 0.0 {
            return Used::default();
        }
        let used = |(thread, now): (&String, &Duration)| {
            let then = before.threads.get(thread).copied().unwrap_or_default();
            now.saturating_sub(then).as_secs_f64()
        };
        let busiest = self.threads.iter().map(used).fold(0.0, f64::max);
        let all: f64 = self.threads.iter().map(used).sum();
        let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
        Used { busiest_thread: busiest / elapsed, all: all / elapsed / processors }
    }
}

/// User and system time of a line of `/proc/<pid>/stat`: the 14th and 15th field. The second one, the name, may hold
/// anything, so fields are counted from its closing bracket.
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user + TICK * system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "12 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 1 0 777 0 0";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_time("12 (a"), None);
    }

    #[test]
    fn the_busiest_thread_is_found() {
        let at = Instant::now();
        let threads = |times: [(&str, u64); 2]| {
            times.map(|(name, time)| (name.to_owned(), Duration::from_millis(time))).into_iter().collect()
        };
        let before = OwnCpu { at, threads: threads([("1", 100), ("2", 100)]) };
        let after = OwnCpu { at: at + Duration::from_secs(1), threads: threads([("1", 1000), ("2", 200)]) };
        let used = after.since(&before);
        assert!((used.busiest_thread - 0.9).abs() < 1e-9, "{used:?}");
        assert!(used.all > 0.0);
    }
}

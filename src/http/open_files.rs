//! How many connections the limit of open files allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are none of ours: listeners, timers, log, and those the threads need.
const RESERVED: u64 = 64;

/// Raises the soft limit of open files to the hard one and gives the limit that now holds; `None` when
/// there is none. To be called once, at start.
pub fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        log::warn!(error:% = error; "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current
}

/// The most connections there may be at once: as configured (0: no wish), and never more than three of five
/// descriptors. Not each needs another for a file: uploads take turns with theirs.
pub(super) fn connection_limit(configured: usize, open_files: Option<u64>) -> usize {
    let allowed = fifths(3, open_files).max(1);
    if configured == 0 { allowed } else { configured.min(allowed) }
}

/// How many descriptors uploads may hold: half of what connections leave, so that those who read find some, too.
pub fn spare_open_files() -> usize {
    fifths(1, open_file_limit())
}

fn fifths(count: u64, open_files: Option<u64>) -> usize {
    const UNLIMITED: u64 = 1 << 20;
    let all = open_files.unwrap_or(UNLIMITED).min(UNLIMITED);
    usize::try_from(all.saturating_sub(RESERVED) * count / 5).unwrap_or(usize::MAX)
}

/// How many connections may have their socket open a second time at once: few enough not to be missed elsewhere.
pub(super) fn second_socket_limit(open_files: Option<u64>) -> usize {
    connection_limit(0, open_files) / 8
}

/// The limit that holds now.
pub(super) fn open_file_limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_files() {
        assert_eq!(connection_limit(0, Some(1064)), 600);
        assert_eq!(connection_limit(100, Some(1064)), 100);
        assert_eq!(connection_limit(5000, Some(1064)), 600);
        assert_eq!(connection_limit(0, Some(10)), 1);
        assert_eq!(fifths(1, Some(1064)), 200);
        // Ten thousand that push at once, where twenty thousand descriptors are all there are.
        assert!(connection_limit(0, Some(20_000)) > 11_000);
        assert!(connection_limit(0, None) > 100_000);
    }

    #[test]
    fn second_sockets_take_a_small_part() {
        assert_eq!(second_socket_limit(Some(1064)), 75);
        assert_eq!(second_socket_limit(Some(10)), 0);
    }
}

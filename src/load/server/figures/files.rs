//! What the kernel tells of a process, in `/proc`.
//!
//! Source: proc(5).

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::Duration;

/// The kernel tells processor time to programs in hundredths of a second, on every architecture that is in use.
const TICKS_PER_SECOND: u64 = 100;

/// Of `/proc/PID/stat`: times of the whole process, threads that have ended included, children not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) user_cpu: Duration,
    pub(super) system_cpu: Duration,
    /// When it was started, since the machine was: two processes of one id differ in it.
    pub(super) started_ticks: u64,
}

/// Of `/proc/PID/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) memory_bytes: u64,
    pub(super) peak_memory_bytes: u64,
    /// How many processors it may use.
    pub(super) cpus: usize,
}

/// Of `/proc/PID/io`: what really went from and to disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Io {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// How often a thread waited, and was made to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) voluntary: u64,
    pub(super) involuntary: u64,
}

pub(super) fn stat(pid: u32) -> io::Result<Stat> {
    let text = read(pid, "stat")?;
    parse_stat(&text)
}

pub(super) fn status(pid: u32) -> io::Result<Status> {
    let text = read(pid, "status")?;
    // A process that is about to end has no memory any more.
    if value(&text, "VmRSS").is_none() {
        return Err(io::ErrorKind::NotFound.into());
    }
    parse_status(&text).ok_or_else(|| unexpected("status", &text))
}

pub(super) fn io(pid: u32) -> io::Result<Io> {
    let text = read(pid, "io")?;
    let (read_bytes, written_bytes) = (number(&text, "read_bytes"), number(&text, "write_bytes"));
    match (read_bytes, written_bytes) {
        (Some(read_bytes), Some(written_bytes)) => Ok(Io { read_bytes, written_bytes }),
        _ => Err(unexpected("io", &text)),
    }
}

/// Of each thread of a process, by its id.
pub(super) fn switches(pid: u32) -> io::Result<HashMap<u32, Switches>> {
    let mut switches = HashMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Some(thread) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A thread that cannot be read has ended meanwhile.
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")) {
            let (voluntary, involuntary) =
                (number(&text, "voluntary_ctxt_switches"), number(&text, "nonvoluntary_ctxt_switches"));
            if let (Some(voluntary), Some(involuntary)) = (voluntary, involuntary) {
                switches.insert(thread, Switches { voluntary, involuntary });
            }
        }
    }
    Ok(switches)
}

/// Lets the most memory that the process held count from now on.
pub(super) fn forget_peak_memory(pid: u32) -> io::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5")
}

fn read(pid: u32, file: &str) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
}

fn parse_stat(text: &str) -> io::Result<Stat> {
    // The second field is the program's name in parentheses, which may hold anything.
    let fields: Vec<&str> = text.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect());
    // It has ended, and its parent has not been told yet.
    if let Some(&("Z" | "X")) = fields.first() {
        return Err(io::ErrorKind::NotFound.into());
    }
    // Fields are counted from 1 where they are described, and the first of these is the third.
    let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
    match (field(14), field(15), field(22)) {
        (Some(user), Some(system), Some(started_ticks)) => {
            Ok(Stat { user_cpu: of_ticks(user), system_cpu: of_ticks(system), started_ticks })
        }
        _ => Err(unexpected("stat", text)),
    }
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn parse_status(text: &str) -> Option<Status> {
    Some(Status {
        memory_bytes: number(text, "VmRSS")? << 10,
        peak_memory_bytes: number(text, "VmHWM")? << 10,
        cpus: count_list(value(text, "Cpus_allowed_list")?)?,
    })
}

/// The number behind `name:`, without its unit.
pub(in super::super) fn number(text: &str, name: &str) -> Option<u64> {
    value(text, name)?.split(' ').next()?.parse().ok()
}

/// What stands behind the first `name:`.
pub(in super::super) fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim_end() == name).then_some(value.trim())
    })
}

/// How many there are in a list as `0-3,8`.
fn count_list(list: &str) -> Option<usize> {
    list.split(',').try_fold(0, |count, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(count + (last + 1).checked_sub(first)?)
    })
}

fn unexpected(file: &str, text: &str) -> io::Error {
    let start: String = text.chars().take(80).collect();
    io::Error::new(io::ErrorKind::InvalidData, format!("{file} is not as it is known: {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_move_the_fields() {
        let text = "77 (a) R (b) S 1 77 77 0 -1 4194560 0 0 0 0 150 25 9 9 20 0 3 0 4242 0 0";
        let expected =
            Stat { user_cpu: Duration::from_millis(1500), system_cpu: Duration::from_millis(250), started_ticks: 4242 };
        assert_eq!(parse_stat(text).unwrap(), expected);
    }

    #[test]
    fn a_process_that_has_ended_is_gone_though_it_is_listed() {
        let error = parse_stat("77 (a) Z 1 77 77 0 -1 4194560 0 0 0 0 150 25 9 9 20 0 3 0 4242").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(parse_stat("77 (a").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn memory_and_processors_are_found() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nCpus_allowed_list:\t0-2,5\n";
        let expected = Status { memory_bytes: 1 << 20, peak_memory_bytes: 2 << 20, cpus: 4 };
        assert_eq!(parse_status(text), Some(expected));
        assert_eq!(parse_status("Name:\tx\n"), None);
        assert_eq!(count_list("3-1"), None);
    }
}

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::files::{self, Switches};
use super::reading::{self, Reading};
use super::{Figures, FiguresError};

/// How often memory is looked at during a turn.
const SAMPLE_EVERY: Duration = Duration::from_millis(200);

/// Threads are looked at so much more seldom than it takes to, so that it costs a hundredth of a processor at most. A
/// thread that comes and goes between two looks is not seen.
const REST_FACTOR: u32 = 100;

/// Processes whose figures are wanted.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Each with the moment at which it was started.
    processes: Vec<(u32, u64)>,
}

/// A time in which processes are watched.
#[derive(Debug)]
pub struct Turn {
    watched: Vec<Watched>,
    /// Tells the sampler to end, by being dropped.
    end: Sender<()>,
    sampler: JoinHandle<Vec<Samples>>,
}

#[derive(Debug)]
struct Watched {
    pid: u32,
    begin: Reading,
    /// Whether the most memory counts from the turn's begin.
    peak_is_ours: bool,
}

/// What was seen of a process between begin and end.
#[derive(Debug)]
struct Samples {
    pid: u32,
    memory: Memory,
    /// Of threads, when they were seen last.
    switches: HashMap<u32, Switches>,
}

/// How much memory a process was seen to hold.
#[derive(Clone, Copy, Debug)]
struct Memory {
    most_bytes: u64,
    sum_bytes: u64,
    count: u64,
}

impl Watch {
    /// Watches processes, whose figures are added up; at least one.
    ///
    /// # Errors
    /// [`FiguresError`] when one of them is not there or may not be looked at.
    pub fn processes(pids: &[u32]) -> Result<Watch, FiguresError> {
        if !Path::new("/proc/self/stat").exists() {
            return Err(FiguresError::Unsupported);
        }
        let read = |&pid: &u32| Reading::of(pid).map(|reading| (pid, reading.stat.started_ticks));
        let processes = pids.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Watch { processes })
    }

    /// Watches this process.
    ///
    /// # Errors
    /// As [`Watch::processes`].
    pub fn ourselves() -> Result<Watch, FiguresError> {
        Watch::processes(&[std::process::id()])
    }

    /// Begins a turn.
    ///
    /// # Errors
    /// [`FiguresError::Gone`] when one of the processes has ended, also when another one has its id now.
    pub fn begin(&self) -> Result<Turn, FiguresError> {
        let watched =
            self.processes.iter().map(|&(pid, started)| begin(pid, started)).collect::<Result<Vec<_>, _>>()?;
        let samples = watched.iter().map(|watched| Samples::new(watched.pid, &watched.begin)).collect();
        let (end, ended) = channel();
        let sampler = thread::spawn(move || sample(samples, &ended));
        Ok(Turn { watched, end, sampler })
    }
}

impl Turn {
    /// Ends the turn; gives what the processes used in it.
    ///
    /// # Errors
    /// [`FiguresError`] when one of them has ended meanwhile.
    pub fn end(self) -> Result<Figures, FiguresError> {
        drop(self.end);
        let samples = self.sampler.join().unwrap_or_default();
        let mut figures = Figures::default();
        for watched in &self.watched {
            let end = Reading::of(watched.pid)?;
            if end.stat.started_ticks != watched.begin.stat.started_ticks {
                return Err(FiguresError::Gone { pid: watched.pid });
            }
            let samples = samples.iter().find(|samples| samples.pid == watched.pid);
            figures.add_process(&watched.figures(&end, samples));
        }
        Ok(figures)
    }
}

fn begin(pid: u32, started_ticks: u64) -> Result<Watched, FiguresError> {
    // Where it is not allowed, what was seen is taken for it.
    let peak_is_ours = files::forget_peak_memory(pid).is_ok();
    let begin = Reading::of(pid)?;
    match begin.stat.started_ticks == started_ticks {
        true => Ok(Watched { pid, begin, peak_is_ours }),
        false => Err(FiguresError::Gone { pid }),
    }
}

impl Watched {
    fn figures(&self, end: &Reading, samples: Option<&Samples>) -> Figures {
        let begin = &self.begin;
        let mut memory = samples.map_or(Memory::begin(begin), |samples| samples.memory);
        memory.see(end.status.memory_bytes);
        let kept_bytes = end.status.peak_memory_bytes;
        // An older peak that was not topped is none of this turn's.
        let is_of_this_turn = self.peak_is_ours || kept_bytes > begin.status.peak_memory_bytes;
        let mut seen = samples.map_or_else(HashMap::new, |samples| samples.switches.clone());
        seen.extend(&end.switches);
        let switches = seen.iter().map(|(thread, now)| {
            let before = begin.switches.get(thread).copied().unwrap_or_default();
            // A thread that got the id of another one begins anew.
            let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            (since(now.voluntary, before.voluntary), since(now.involuntary, before.involuntary))
        });
        let (voluntary, involuntary) = switches.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Figures {
            elapsed: end.at - begin.at,
            user_cpu: end.stat.user_cpu.saturating_sub(begin.stat.user_cpu),
            system_cpu: end.stat.system_cpu.saturating_sub(begin.stat.system_cpu),
            cpus: end.status.cpus,
            peak_memory_bytes: if is_of_this_turn { kept_bytes.max(memory.most_bytes) } else { memory.most_bytes },
            mean_memory_bytes: memory.sum_bytes / memory.count,
            read_bytes: end.io.read_bytes.saturating_sub(begin.io.read_bytes),
            written_bytes: end.io.written_bytes.saturating_sub(begin.io.written_bytes),
            voluntary_switches: voluntary,
            involuntary_switches: involuntary,
        }
    }
}

impl Samples {
    fn new(pid: u32, begin: &Reading) -> Samples {
        Samples { pid, memory: Memory::begin(begin), switches: begin.switches.clone() }
    }
}

impl Memory {
    fn begin(begin: &Reading) -> Memory {
        let bytes = begin.status.memory_bytes;
        Memory { most_bytes: bytes, sum_bytes: bytes, count: 1 }
    }

    fn see(&mut self, bytes: u64) {
        self.most_bytes = self.most_bytes.max(bytes);
        self.sum_bytes += bytes;
        self.count += 1;
    }
}

/// Looks at the processes until the turn's end.
fn sample(mut all: Vec<Samples>, ended: &Receiver<()>) -> Vec<Samples> {
    let mut threads_again_at = Instant::now();
    while ended.recv_timeout(SAMPLE_EVERY) == Err(RecvTimeoutError::Timeout) {
        let began = Instant::now();
        let looks_at_threads = began >= threads_again_at;
        for samples in &mut all {
            // What cannot be read now is told at the turn's end.
            if let Ok(status) = reading::status(samples.pid) {
                samples.memory.see(status.memory_bytes);
            }
            if looks_at_threads && let Ok(switches) = reading::switches(samples.pid) {
                samples.switches.extend(switches);
            }
        }
        if looks_at_threads {
            threads_again_at = Instant::now() + began.elapsed() * REST_FACTOR;
        }
    }
    all
}

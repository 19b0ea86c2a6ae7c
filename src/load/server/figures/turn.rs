use std::time::Duration;

use crate::load::report::Process;

const GIB: f64 = (1_u64 << 30) as f64;

/// What processes used together, over one or several turns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// How long they were watched.
    pub elapsed: Duration,
    /// Processor time in their own code.
    pub user_cpu: Duration,
    /// Processor time in the kernel.
    pub system_cpu: Duration,
    /// How many processors they may use.
    pub cpus: usize,
    /// The most memory that they held. Of several processes it is the sum of what each held at most.
    pub peak_memory_bytes: u64,
    /// How much memory they held on average.
    pub mean_memory_bytes: u64,
    /// What they read from disks.
    pub read_bytes: u64,
    /// What they wrote to disks, or will have when the system has written it back.
    pub written_bytes: u64,
    /// How often their threads waited.
    pub voluntary_switches: u64,
    /// How often their threads were made to wait.
    pub involuntary_switches: u64,
}

impl Figures {
    /// Adds a later turn of the same processes.
    pub fn add_turn(&mut self, turn: &Figures) {
        let memory = |figures: &Figures| figures.mean_memory_bytes as f64 * figures.elapsed.as_secs_f64();
        let elapsed = self.elapsed + turn.elapsed;
        if !elapsed.is_zero() {
            self.mean_memory_bytes = ((memory(self) + memory(turn)) / elapsed.as_secs_f64()).round() as u64;
        }
        self.elapsed = elapsed;
        self.peak_memory_bytes = self.peak_memory_bytes.max(turn.peak_memory_bytes);
        self.add_counts(turn);
    }

    /// Adds another process of the same turn.
    pub fn add_process(&mut self, other: &Figures) {
        self.elapsed = self.elapsed.max(other.elapsed);
        self.mean_memory_bytes += other.mean_memory_bytes;
        self.peak_memory_bytes += other.peak_memory_bytes;
        self.add_counts(other);
    }

    fn add_counts(&mut self, other: &Figures) {
        self.cpus = self.cpus.max(other.cpus);
        self.user_cpu += other.user_cpu;
        self.system_cpu += other.system_cpu;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
    }

    /// The share of the processors that was used (1: all that they may use); 0 when no time went by.
    pub fn cpu_share(&self) -> f64 {
        let available_seconds = self.elapsed.as_secs_f64() * self.cpus as f64;
        if available_seconds == 0.0 { 0.0 } else { self.cpu().as_secs_f64() / available_seconds }
    }

    /// What a report says, when so much content was moved by so many requests meanwhile.
    pub fn process(&self, content_bytes: u64, requests: u64) -> Process {
        let cpu_seconds = self.cpu().as_secs_f64();
        Process {
            user_cpu_seconds: self.user_cpu.as_secs_f64(),
            system_cpu_seconds: self.system_cpu.as_secs_f64(),
            cpu_seconds_per_gib: (content_bytes > 0).then(|| cpu_seconds / (content_bytes as f64 / GIB)),
            cpu_us_per_request: (requests > 0).then(|| cpu_seconds * 1e6 / requests as f64),
            cpu_share: self.cpu_share(),
            peak_memory_bytes: self.peak_memory_bytes,
            mean_memory_bytes: self.mean_memory_bytes,
            read_bytes: self.read_bytes,
            written_bytes: self.written_bytes,
            voluntary_switches: self.voluntary_switches,
            involuntary_switches: self.involuntary_switches,
        }
    }

    fn cpu(&self) -> Duration {
        self.user_cpu + self.system_cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(seconds: u64, cpu_ms: u64, memory_bytes: u64) -> Figures {
        Figures {
            elapsed: Duration::from_secs(seconds),
            user_cpu: Duration::from_millis(cpu_ms),
            system_cpu: Duration::from_millis(cpu_ms),
            cpus: 2,
            peak_memory_bytes: memory_bytes * 2,
            mean_memory_bytes: memory_bytes,
            read_bytes: 1,
            written_bytes: 2,
            voluntary_switches: 3,
            involuntary_switches: 4,
        }
    }

    #[test]
    fn turns_follow_each_other() {
        let mut all = Figures::default();
        all.add_turn(&figures(1, 500, 100));
        all.add_turn(&figures(3, 100, 200));
        let expected = Figures {
            mean_memory_bytes: 175,
            peak_memory_bytes: 400,
            read_bytes: 2,
            written_bytes: 4,
            voluntary_switches: 6,
            involuntary_switches: 8,
            ..figures(4, 600, 0)
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn processes_are_side_by_side() {
        let mut all = Figures::default();
        all.add_process(&figures(3, 500, 100));
        all.add_process(&figures(3, 100, 200));
        let expected = Figures {
            peak_memory_bytes: 600,
            read_bytes: 2,
            written_bytes: 4,
            voluntary_switches: 6,
            involuntary_switches: 8,
            ..figures(3, 600, 300)
        };
        assert_eq!(all, expected);
    }

    #[test]
    fn costs_are_told_by_what_was_done_and_not_where_nothing_was() {
        let process = figures(2, 1000, 100).process(4 << 30, 1000);
        assert_eq!(process.cpu_seconds_per_gib, Some(0.5));
        assert_eq!(process.cpu_us_per_request, Some(2000.0));
        assert_eq!(process.cpu_share, 0.5);
        let idle = Figures::default().process(0, 0);
        assert_eq!((idle.cpu_seconds_per_gib, idle.cpu_us_per_request, idle.cpu_share), (None, None, 0.0));
    }
}

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// The most steps that are remembered of one push; of a longer one the first and the last.
const MOST_STEPS: usize = 200;

/// What was done with a blob or an upload, and answered. Clones share it: those who write to one upload at the same time
/// have one history.
#[derive(Clone, Debug)]
pub(in crate::load) struct History(Arc<Mutex<Steps>>);

#[derive(Debug)]
struct Steps {
    began: Instant,
    first: Vec<Step>,
    last: VecDeque<Step>,
    left_out: usize,
}

#[derive(Debug)]
struct Step {
    at: Instant,
    what: Box<str>,
}

impl History {
    /// One that begins now.
    pub(in crate::load) fn new() -> Self {
        let steps = Steps { began: Instant::now(), first: Vec::new(), last: VecDeque::new(), left_out: 0 };
        History(Arc::new(Mutex::new(steps)))
    }

    pub(in crate::load) fn note(&self, what: impl Into<Box<str>>) {
        let step = Step { at: Instant::now(), what: what.into() };
        let mut steps = self.lock();
        if steps.first.len() < MOST_STEPS / 2 {
            steps.first.push(step);
            return;
        }
        if steps.last.len() == MOST_STEPS / 2 {
            steps.last.pop_front();
            steps.left_out += 1;
        }
        steps.last.push_back(step);
    }

    /// A line for each step, with its seconds since the history began.
    pub(in crate::load) fn lines(&self) -> Vec<String> {
        let steps = self.lock();
        let line = |step: &Step| {
            let seconds = step.at.saturating_duration_since(steps.began).as_secs_f64();
            format!("+{seconds:.6}s {}", step.what)
        };
        let mut lines: Vec<String> = steps.first.iter().map(line).collect();
        if steps.left_out > 0 {
            lines.push(format!("… {} steps left out", steps.left_out));
        }
        lines.extend(steps.last.iter().map(line));
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_keeps_its_begin_and_its_end() {
        let history = History::new();
        for step in 0..1000 {
            history.note(format!("step {step}"));
        }
        let lines = history.lines();
        assert_eq!(lines.len(), MOST_STEPS + 1);
        assert!(lines[0].ends_with("s step 0") && lines[99].ends_with("step 99"), "{lines:?}");
        assert_eq!(lines[100], "… 800 steps left out");
        assert!(lines[101].ends_with("step 900") && lines[200].ends_with("step 999"), "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_two_do_together_is_one_history() {
        let one = History::new();
        let other = one.clone();
        one.note("begins");
        tokio::time::advance(std::time::Duration::from_millis(5)).await;
        other.note("goes on");
        assert_eq!(one.lines(), ["+0.000000s begins", "+0.005000s goes on"]);
    }
}

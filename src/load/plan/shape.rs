use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{duration, optional};

/// How much is done at once, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Closed loop: so many workers, each of which begins its next task when the one before it has ended. `None` (and no
    /// `rate`): 8.
    pub workers: Option<u32>,
    /// Open loop: so many tasks are begun each second, whether those before have ended or not; each is timed from when
    /// it was due.
    pub rate: Option<f64>,
    /// How many tasks of an open loop may be under way at once. A task that is due beyond it begins later, and the time
    /// that it waited counts.
    pub max_in_flight: u32,
    /// The workers or the rate change over time: a list of ramps and steps, from `workers` or `rate` as they are said
    /// above. They make up one run over a target, and run within its turns.
    pub stages: Vec<Stage>,
    /// For how long each target is put under load, its warm-up not counted. What is under way then, or at the end of a
    /// turn, goes on to its end, for a minute at most, and that time is measured, too. `None`: until `count` is reached; with
    /// neither, or `stages`, 30 s or the sum of the stages.
    #[serde(with = "optional::duration")]
    pub duration: Option<Duration>,
    /// After how many tasks for each target the run ends. `None`: by time only.
    pub count: Option<u64>,
    /// For how long each target is put under load before anything is measured.
    #[serde(with = "duration")]
    pub warm_up: Duration,
    /// With several targets: how long each has its turn before the next one has. Zero: one turn, one after the other.
    #[serde(with = "duration")]
    pub turn: Duration,
}

/// A part of a run's course. What is not said stays as it was before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How long it takes.
    #[serde(rename = "for", with = "duration")]
    pub length: Duration,
    /// Closed loop: how many workers there are at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<u32>,
    /// Open loop: how many tasks a second are begun at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Whether it is so from the stage's begin on (a step), rather than by and by (a ramp).
    #[serde(default)]
    pub step: bool,
}

/// Which of the two loops it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Workers that begin their next task when the one before has ended.
    Closed {
        /// How many.
        workers: u32,
    },
    /// Tasks that begin when they are due.
    Open {
        /// How many a second.
        rate: f64,
        /// How many may be under way at once.
        max_in_flight: u32,
    },
}

impl Default for Shape {
    fn default() -> Self {
        Shape {
            workers: None,
            rate: None,
            max_in_flight: 1000,
            stages: Vec::new(),
            duration: None,
            count: None,
            warm_up: Duration::ZERO,
            turn: Duration::from_secs(5),
        }
    }
}

impl Shape {
    const WORKERS: u32 = 8;
    const DURATION: Duration = Duration::from_secs(30);

    /// Which loop it is, with what it begins.
    pub fn pace(&self) -> Pace {
        match self.rate {
            Some(rate) => Pace::Open { rate, max_in_flight: self.max_in_flight },
            None => Pace::Closed { workers: self.workers.unwrap_or(Self::WORKERS) },
        }
    }

    /// For how long each target is put under load after its warm-up; `None`: until the count is reached.
    pub fn length(&self) -> Option<Duration> {
        match (self.duration, self.count) {
            (Some(duration), _) => Some(duration),
            (None, _) if !self.stages.is_empty() => Some(self.stages.iter().map(|stage| stage.length).sum()),
            (None, Some(_)) => None,
            (None, None) => Some(Self::DURATION),
        }
    }
}

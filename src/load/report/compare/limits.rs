//! How much worse a figure may get.

use std::fmt;
use std::str::FromStr;

use super::{Comparison, Pair, Row};
use crate::load::report::figures::percent;

/// A quarter less is a quarter less, whatever its last binary digit is.
const ROUNDING: f64 = 1e-9;

/// A share, given as a percentage: `10%`, `2.5 %`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl FromStr for Share {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        match number {
            Some(percent) if percent.is_finite() && percent >= 0.0 => Ok(Share(percent / 100.0)),
            _ => Err(LimitError::Malformed(text.to_owned())),
        }
    }
}

/// A limit of one figure: `push-streamed.p99=20%`, `longshore/throughput=5%`, `errors=any`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// The figure's name, with its target's and a slash before it where it is that one's only.
    pub figure: String,
    /// By how much it may get worse; `None` for any.
    pub worse_by: Option<f64>,
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let malformed = || LimitError::Malformed(text.to_owned());
        let (figure, share) = text.rsplit_once('=').ok_or_else(malformed)?;
        let worse_by = match share.trim() {
            "any" => None,
            share => Some(share.parse::<Share>().map_err(|_| malformed())?.0),
        };
        match figure.trim() {
            "" => Err(malformed()),
            figure => Ok(Limit { figure: figure.to_owned(), worse_by }),
        }
    }
}

/// All limits.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// By how much any figure of any target may get worse that has no limit of its own.
    pub all: Option<f64>,
    /// Those of single figures; a later one goes over an earlier one.
    pub single: Vec<Limit>,
    /// Whether figures are set against those of the control first, where the control has them.
    pub by_control: bool,
}

/// A figure that got worse than it may.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// The target's name.
    pub target: String,
    /// The figure's name.
    pub figure: String,
    /// What it was, what it is, and what would have been allowed.
    pub detail: String,
}

impl Limits {
    /// What got worse than it may. Percentiles of few times have no limit but their own, and so has what only one of the
    /// reports has. The control has none: it is what others are set against.
    ///
    /// # Errors
    /// [`LimitError`] when a limit is of a figure that is in no report, or when there is no control.
    pub fn check(&self, comparison: &Comparison) -> Result<Vec<Regression>, LimitError> {
        if self.by_control && !comparison.has_controls {
            return Err(LimitError::NoControl);
        }
        let pairs = || comparison.targets.iter().filter(|pair| !pair.after.is_control());
        for limit in &self.single {
            if !pairs().any(|pair| pair.rows.iter().any(|row| is_of(limit, pair, row))) {
                return Err(LimitError::Unknown { figure: limit.figure.clone(), known: names(pairs()) });
            }
        }
        let all = pairs().flat_map(|pair| pair.rows.iter().map(move |row| (pair, row)));
        Ok(all.filter_map(|(pair, row)| self.regression(pair, row)).collect())
    }

    fn regression(&self, pair: &Pair, row: &Row) -> Option<Regression> {
        let own = self.single.iter().rev().find(|limit| is_of(limit, pair, row));
        let allowed = match own {
            Some(limit) => limit.worse_by?,
            None if row.is_of_few => return None,
            None => self.all?,
        };
        let detail = match row.worse_by(self.by_control) {
            Some(worse) if worse <= allowed + ROUNDING => return None,
            Some(worse) => told(row, worse, allowed, self.by_control && row.by_control.is_some()),
            None if own.is_some() && row.before.is_some() && row.after.is_none() => {
                "not in the second report".to_owned()
            }
            None => return None,
        };
        Some(Regression { target: pair.after.name.clone(), figure: row.name.clone(), detail })
    }
}

fn is_of(limit: &Limit, pair: &Pair, row: &Row) -> bool {
    let figure = limit.figure.strip_prefix(&pair.after.name).and_then(|rest| rest.strip_prefix('/'));
    limit.figure == row.name || figure == Some(&row.name)
}

fn told(row: &Row, worse: f64, allowed: f64, by_control: bool) -> String {
    let show = |value: Option<f64>| value.map_or_else(|| "nothing".to_owned(), |value| row.unit.show(value));
    let worse = if worse.is_finite() { percent(worse) } else { "infinitely".to_owned() };
    let of_what = if by_control { " of the control's" } else { "" };
    let (before, after) = (show(row.before), show(row.after));
    format!("{before} before, {after} now: {worse} worse{of_what}, allowed are {}", percent(allowed))
}

fn names<'a>(pairs: impl Iterator<Item = &'a Pair>) -> Vec<String> {
    let mut names: Vec<String> = pairs.flat_map(|pair| &pair.rows).map(|row| row.name.clone()).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// A limit is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitError {
    /// It is not written as a limit is.
    Malformed(String),
    /// It is of a figure that no report has.
    Unknown {
        /// Which.
        figure: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Figures are to be set against a control's, and not both reports have one.
    NoControl,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LimitError::Malformed(text) => {
                write!(f, "{text:?} is no limit: expected a percentage (10%), for one figure NAME=10% or NAME=any")
            }
            LimitError::Unknown { figure, known } => {
                write!(f, "no target has a figure {figure:?}; there are {}", known.join(", "))
            }
            LimitError::NoControl => write!(f, "not both reports have a control"),
        }
    }
}

impl std::error::Error for LimitError {}

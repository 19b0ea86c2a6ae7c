//! What a request is in a report, and how it was answered.

use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::failure;
use crate::client::{ClientError, Url};
use crate::load::measure::Failure;

/// An answer that is as it should be, its body read.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) location: Option<Url>,
    /// How many bytes an upload holds, as it is told.
    pub(super) held_bytes: Option<u64>,
}

/// The head of an answer whose body is being read.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

/// A request that was not answered as it should be.
#[derive(Debug)]
pub(in crate::load) struct Refused {
    pub(in crate::load) failure: Failure,
    pub(super) error: Option<ClientError>,
    /// Bytes of its body that were handed to the connection.
    pub(super) sent_bytes: u64,
    /// When it ended.
    pub(super) ended: Instant,
    /// It was told as a finding.
    pub(super) is_finding: bool,
}

/// What a request is in a report.
#[derive(Clone, Copy)]
pub(in crate::load) struct Op {
    /// The operation's name.
    pub(super) name: &'static str,
    /// Statuses from 400 on that are as good as others here.
    pub(super) accepts: &'static [u16],
    /// It is recorded; what is slow or cut on purpose is not.
    pub(super) is_measured: bool,
}

impl Op {
    pub(super) const fn new(name: &'static str) -> Self {
        Op { name, accepts: &[], is_measured: true }
    }

    pub(super) const fn accepting(name: &'static str, accepts: &'static [u16]) -> Self {
        Op { name, accepts, is_measured: true }
    }

    pub(super) const fn unmeasured(name: &'static str) -> Self {
        Op { name, accepts: &[], is_measured: false }
    }
}

impl Refused {
    /// An answer that is not as it should be.
    pub(super) fn answer(message: impl std::fmt::Display) -> Self {
        Refused::of(failure::protocol(message))
    }

    pub(super) fn of(failure: Failure) -> Self {
        Refused { failure, error: None, sent_bytes: 0, ended: tokio::time::Instant::now(), is_finding: false }
    }

    /// What was told as a finding.
    pub(super) fn found(self) -> Self {
        Refused { is_finding: true, ..self }
    }

    /// The answer's status; 0 where there was none.
    pub(in crate::load) fn status(&self) -> u16 {
        self.failure.status
    }

    /// What is wrong was told as a finding.
    pub(in crate::load) fn is_finding(&self) -> bool {
        self.is_finding
    }

    /// The same may go well later.
    pub(in crate::load) fn is_passing(&self) -> bool {
        self.error.as_ref().is_some_and(failure::is_passing)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        refused.failure
    }
}

pub(super) fn expect(answer: &Answer, status: StatusCode) -> Result<(), Refused> {
    expect_one_of(answer, &[status])
}

pub(super) fn expect_one_of(answer: &Answer, statuses: &[StatusCode]) -> Result<(), Refused> {
    match statuses.contains(&answer.status) {
        true => Ok(()),
        false => Err(Refused::answer(format!("status {}, not {}", answer.status.as_u16(), statuses[0].as_u16()))),
    }
}

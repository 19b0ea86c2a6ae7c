//! What a failure of a request is in a report.

use crate::client::transport::{TransportError, TransportErrorKind};
use crate::client::{ClientError, Failure as Cause};
use crate::load::measure::Failure;

/// A request that was not answered as it should be.
pub(in crate::load) fn of(error: &ClientError) -> Failure {
    match error.failure() {
        Cause::Refused(refusal) => {
            let problem = refusal.problems.first();
            let code = problem.map_or("", |problem| problem.raw_code.as_str());
            let message = problem.map_or("", |problem| problem.message.as_str());
            Failure::answer(refusal.status.as_u16(), code, message)
        }
        Cause::Transport(cause) => Failure::without_answer(cause.kind().as_str(), cause),
        Cause::Credentials(cause) => Failure::without_answer("credentials", cause),
        cause => Failure::without_answer("protocol", cause),
    }
}

/// An answer that is not as it should be.
pub(in crate::load) fn protocol(message: impl std::fmt::Display) -> Failure {
    Failure::without_answer("protocol", message)
}

/// Whether the same may go well later.
pub(in crate::load) fn is_passing(error: &ClientError) -> bool {
    match error.failure() {
        Cause::Transport(cause) => is_passing_transport(cause),
        Cause::Refused(refusal) => matches!(refusal.status.as_u16(), 408 | 409 | 423 | 425 | 429 | 500 | 502..=504),
        _ => false,
    }
}

fn is_passing_transport(error: &TransportError) -> bool {
    !matches!(error.kind(), TransportErrorKind::Protocol | TransportErrorKind::Body)
}

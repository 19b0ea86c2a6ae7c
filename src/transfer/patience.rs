use std::time::Duration;

use uuid::Uuid;

use super::error::{Cause, TransferError};
use crate::client::ClientError;
use crate::services::RegistryError;

/// How often in a row something may break off without any progress.
const MOST_FAILURES: u32 = 5;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(20);
/// A registry that asks for more time is not waited for.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// How often it is tried again.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    furthest: u64,
}

impl Patience {
    /// How long to wait after a failure at an offset; `None` when there is no use in going on. Whoever gets further
    /// each time is never given up.
    pub(super) fn wait(&mut self, error: &TransferError, offset: u64) -> Option<Duration> {
        if offset > self.furthest {
            (self.furthest, self.failures) = (offset, 0);
        }
        let asked = passes(error)?;
        self.failures += 1;
        if self.failures > MOST_FAILURES || asked.is_some_and(|asked| asked > LONGEST_ASKED) {
            return None;
        }
        let doubled = FIRST_DELAY * (1 << (self.failures - 1));
        // Not all at once, when many broke off together.
        let share = (Uuid::new_v4().as_u128() % 1000) as f64 / 2000.0;
        let drawn = doubled.mul_f64(0.5 + share).min(LONGEST_DELAY);
        // What the registry asks for is the least.
        Some(asked.map_or(drawn, |asked| drawn.max(asked + drawn.min(asked / 4))))
    }
}

/// Whether a failure may be gone the next time; with the wait that the registry asked for.
fn passes(error: &TransferError) -> Option<Option<Duration>> {
    let TransferError::Failed { cause: Cause::Registry(error), .. } = error else { return None };
    match error {
        RegistryError::OverLimit { retry_after, .. } | RegistryError::Busy { retry_after } => Some(Some(*retry_after)),
        RegistryError::Remote { retry_after: Some(retry_after), .. } => Some(Some(*retry_after)),
        RegistryError::Unavailable(_)
        | RegistryError::Internal(_)
        | RegistryError::RangeNotSatisfiable { .. }
        | RegistryError::SizeInvalid { .. }
        | RegistryError::PolicyStruck { .. } => Some(None),
        RegistryError::Remote { source: Some(source), .. } => {
            source.downcast_ref::<ClientError>().is_some_and(ClientError::is_passing).then_some(None)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::End;

    fn busy(seconds: u64) -> TransferError {
        let cause = RegistryError::Busy { retry_after: Duration::from_secs(seconds) };
        End::Destination.failed("blob")(cause)
    }

    #[test]
    fn a_registry_that_asks_for_time_gets_it() {
        for seconds in [1, 20, 60] {
            let asked = Duration::from_secs(seconds);
            let delay = Patience::default().wait(&busy(seconds), 0).unwrap();
            assert!(delay >= asked && delay <= asked.mul_f64(1.25), "{seconds}s asked, {delay:?} waited");
        }
        assert_eq!(Patience::default().wait(&busy(24 * 3600), 0), None, "nobody waits for a day");
    }

    #[test]
    fn whoever_gets_further_is_not_given_up() {
        let mut patience = Patience::default();
        for offset in 1..100 {
            assert!(patience.wait(&busy(0), offset).is_some());
        }
        let more = (0..100).take_while(|_| patience.wait(&busy(0), 99).is_some()).count();
        assert_eq!(more, MOST_FAILURES as usize - 1);
    }
}

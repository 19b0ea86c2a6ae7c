//! What goes wrong.

use std::fmt;

use longshore::storage::StorageErrorKind;
use longshore::storage::adapters::{Fault, Faulty};

/// What goes wrong at the n-th call.
#[derive(Clone, Copy, Debug)]
pub struct Blow {
    pub kind: StorageErrorKind,
    pub after_effect: bool,
    /// How many calls in a row; all that follow when the process dies.
    pub times: u64,
}

impl Blow {
    pub fn once(kind: StorageErrorKind, after_effect: bool) -> Blow {
        Blow { kind, after_effect, times: 1 }
    }

    pub fn death(after_effect: bool) -> Blow {
        Blow { kind: StorageErrorKind::Fault, after_effect, times: u64::MAX }
    }

    pub fn is_death(self) -> bool {
        self.times == u64::MAX
    }

    /// Only what failed twice, or died, may leave an upload of which no client knows.
    pub fn leaves_no_strays(self) -> bool {
        self.times == 1
    }

    pub fn plan(self, faulty: &Faulty, nth: u64) {
        let fault = Fault::fail(self.kind).nth(nth);
        if self.is_death() {
            // After its effect the n-th fails; those behind it have none.
            let first = if self.after_effect { fault.clone().after_effect() } else { fault.clone() };
            faulty.inject(first);
            faulty.inject(fault.times(u64::MAX));
        } else {
            let fault = fault.times(self.times);
            faulty.inject(if self.after_effect { fault.after_effect() } else { fault });
        }
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.after_effect { "after" } else { "before" };
        match self.times {
            u64::MAX => write!(f, "death {when} the effect"),
            times => write!(f, "{:?} {when} the effect, {times} times", self.kind),
        }
    }
}

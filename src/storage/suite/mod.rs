//! What every driver and every adapter has to pass: the contract of [`Driver`](super::Driver), sentence by sentence.
//!
//! It is compiled with the crate so that tests of every kind can use it. It panics where a driver is wrong, and where
//! a driver leaves something behind: each case removes what it made, and then nothing may be found.
//!
//! ```ignore
//! suite::run(|| Subject::new(Arc::new(Memory::new(options)))).await;
//! ```

mod changes;
mod lists;
mod objects;
mod partials;
mod races;
mod support;

use futures_util::future::BoxFuture;

use super::{SharedDriver, StorageErrorKind};

/// A store to be tested.
pub struct Subject {
    driver: SharedDriver,
    leftovers: Box<dyn Fn() -> Vec<String> + Send>,
}

impl Subject {
    /// An empty store behind `driver`, in which the contract alone can look for leftovers.
    pub fn new(driver: SharedDriver) -> Self {
        Subject { driver, leftovers: Box::new(Vec::new) }
    }

    /// The same where `leftovers` names what the store holds that the contract does not show (files of a folder, bytes
    /// still counted).
    pub fn with_leftovers(driver: SharedDriver, leftovers: impl Fn() -> Vec<String> + Send + 'static) -> Self {
        Subject { driver, leftovers: Box::new(leftovers) }
    }
}

/// One thing that a driver has to do.
pub struct Case {
    /// What it is, in words.
    pub name: &'static str,
    run: fn(SharedDriver) -> BoxFuture<'static, ()>,
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [objects::cases(), changes::cases(), races::cases(), lists::cases(), partials::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// Runs each case on an empty store that `make` gives, printing its name first.
///
/// # Panics
/// When the driver does not do what the contract says, or leaves something behind.
pub async fn run(mut make: impl FnMut() -> Subject) {
    for case in cases() {
        println!("case: {}", case.name);
        let subject = make();
        (case.run)(subject.driver.clone()).await;
        let shown = support::walk(&subject.driver, &support::key("suite")).await;
        assert!(shown.is_empty(), "case {:?} left keys: {shown:?}", case.name);
        let hidden = (subject.leftovers)();
        assert!(hidden.is_empty(), "case {:?} left, unseen by the contract: {hidden:?}", case.name);
        let root = subject.driver.list(&support::key("suite"), None, 1).await;
        assert_eq!(root.map_err(|error| error.kind()), Err(StorageErrorKind::NotFound), "case {:?}", case.name);
    }
}

/// A case from an async function.
macro_rules! case {
    ($name:literal, $function:path) => {
        Case { name: $name, run: |driver| Box::pin($function(driver)) }
    };
}
use case;

//! What every registry behind the traits has to pass: the contract of [`services`](super), sentence by sentence.
//!
//! It is compiled with the crate so that tests of every kind can use it. It panics where a registry is wrong. Each case
//! has repositories of its own under `suite/`, whose names nobody else has, so that it runs on a registry that holds
//! other content; it ends every upload that it began, and leaves the blobs and manifests that it pushed.
//!
//! ```ignore
//! suite::run(&Subject::new(Arc::new(registry))).await;
//! ```

mod blobs;
mod bodies;
mod contention;
mod manifests;
mod preconditions;
mod referrers;
mod support;
mod tags;
mod uploads;

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use self::support::Bench;
use super::Registry;

/// A registry to be tested. It takes sha256 and sha512, allows mounts with and without a source, refuses manifests whose
/// content it does not have, and lets a newer writer take over from a silent one within some seconds.
#[derive(Clone)]
pub struct Subject {
    registry: Arc<dyn Registry>,
    elsewhere: Arc<dyn Registry>,
}

impl Subject {
    /// The registry as one process sees it.
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Subject { elsewhere: registry.clone(), registry }
    }

    /// The same where `elsewhere` is the same registry as another process sees it, who knows of the first one's uploads
    /// only what it is told.
    pub fn seen_by_two(registry: Arc<dyn Registry>, elsewhere: Arc<dyn Registry>) -> Self {
        Subject { registry, elsewhere }
    }
}

/// One thing that a registry has to do.
pub struct Case {
    /// What it is, in words.
    pub name: &'static str,
    run: fn(Bench) -> LocalBoxFuture<'static, ()>,
}

impl Case {
    /// Tries it.
    ///
    /// # Panics
    /// When the registry does not do what the contract says.
    pub async fn run(&self, subject: &Subject) {
        (self.run)(Bench::new(subject)).await;
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    let rooms = [
        blobs::cases(),
        uploads::cases(),
        bodies::cases(),
        contention::cases(),
        manifests::cases(),
        preconditions::cases(),
        referrers::cases(),
        tags::cases(),
    ];
    rooms.into_iter().flatten().collect()
}

/// Runs each case, printing its name first.
///
/// # Panics
/// When the registry does not do what the contract says.
pub async fn run(subject: &Subject) {
    for case in cases() {
        println!("case: {}", case.name);
        case.run(subject).await;
    }
}

/// A case from an async function.
macro_rules! case {
    ($name:literal, $function:path) => {
        Case { name: $name, run: |bench| Box::pin($function(bench)) }
    };
}
use case;

/// Panics unless the result is an error of this form.
macro_rules! assert_fails {
    ($result:expr, $error:pat $(if $guard:expr)?) => {
        match $result {
            Err($error) $(if $guard)? => {}
            Err(other) => panic!("it failed with {other:?}, not with {}", stringify!($error $(if $guard)?)),
            Ok(_) => panic!("it succeeded, but was to fail with {}", stringify!($error $(if $guard)?)),
        }
    };
}
use assert_fails;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::task::JoinHandle;

use crate::storage::{StorageError, StorageErrorKind};

/// Work on a thread that may block. Dropping it before it has begun takes it back; later it is told so.
#[derive(Debug)]
pub(super) struct Blocking<T> {
    task: JoinHandle<Result<T, StorageError>>,
    operation: &'static str,
    subject: String,
    cancelled: Cancelled,
}

/// Whether whoever waited for some work has left.
#[derive(Clone, Debug, Default)]
pub(super) struct Cancelled(Arc<AtomicBool>);

impl Cancelled {
    /// To be asked when the key is locked, right before it is changed. A change that hung, and that the caller gave up,
    /// then never comes after one that was made later.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::Error::other("nobody waits for it any more"));
        }
        Ok(())
    }
}

pub(super) fn start<T: Send + 'static>(
    operation: &'static str,
    subject: impl fmt::Display,
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Blocking<T> {
    start_cancellable(operation, subject, |_| work())
}

pub(super) fn start_cancellable<T: Send + 'static>(
    operation: &'static str,
    subject: impl fmt::Display,
    work: impl FnOnce(&Cancelled) -> Result<T, StorageError> + Send + 'static,
) -> Blocking<T> {
    let cancelled = Cancelled::default();
    let told = cancelled.clone();
    let task = tokio::task::spawn_blocking(move || work(&told));
    Blocking { task, operation, subject: subject.to_string(), cancelled }
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context).map(|joined| match joined {
            Ok(result) => result,
            Err(error) => Err(StorageError::with_source(StorageErrorKind::Fault, self.operation, &self.subject, error)),
        })
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        self.cancelled.0.store(true, Ordering::Release);
        self.task.abort();
    }
}

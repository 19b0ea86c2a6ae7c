use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::pool::{Kind, Pool};
use crate::storage::{Key, StorageError, StorageErrorKind};

/// Why there is no answer.
const NOT_DONE: &str = "it panicked, or the process is stopping";

/// Work on a thread that may block. Dropping it before it has begun takes it back; later it is told so.
#[derive(Debug)]
pub(super) struct Blocking<T> {
    answer: oneshot::Receiver<Result<T, StorageError>>,
    operation: &'static str,
    subject: Key,
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

/// Starts what may take long, such as a sync or reading from a disk, on a thread of its own.
pub(super) fn start<T: Send + 'static>(
    operation: &'static str,
    subject: &Key,
    work: impl FnOnce(&Cancelled) -> Result<T, StorageError> + Send + 'static,
) -> Blocking<T> {
    let (job, blocking) = prepare(operation, subject, work);
    tokio::task::spawn_blocking(job);
    blocking
}

/// Starts it on a thread of the pool.
pub(super) fn start_in<T: Send + 'static>(
    pool: &Pool,
    kind: Kind,
    operation: &'static str,
    subject: &Key,
    work: impl FnOnce(&Cancelled) -> Result<T, StorageError> + Send + 'static,
) -> Blocking<T> {
    let (job, blocking) = prepare(operation, subject, work);
    if let Err(job) = pool.push(kind, Box::new(job)) {
        tokio::task::spawn_blocking(job);
    }
    blocking
}

fn prepare<T: Send + 'static>(
    operation: &'static str,
    subject: &Key,
    work: impl FnOnce(&Cancelled) -> Result<T, StorageError> + Send + 'static,
) -> (impl FnOnce() + Send + 'static, Blocking<T>) {
    let (reply, answer) = oneshot::channel();
    let cancelled = Cancelled::default();
    let told = cancelled.clone();
    let job = move || {
        if !reply.is_closed() {
            // Whoever waited may have left meanwhile.
            let _ = reply.send(work(&told));
        }
    };
    (job, Blocking { answer, operation, subject: subject.clone(), cancelled })
}

impl<T> Future for Blocking<T> {
    type Output = Result<T, StorageError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            let fail = |_| StorageError::with_source(StorageErrorKind::Fault, self.operation, &self.subject, NOT_DONE);
            answer.unwrap_or_else(|error| Err(fail(error)))
        })
    }
}

impl<T> Drop for Blocking<T> {
    fn drop(&mut self) {
        self.cancelled.0.store(true, Ordering::Release);
    }
}

use std::future::Future;
use std::panic;

use tokio::task::JoinError;

use crate::storage::{StorageError, StorageErrorKind};

/// Runs `work` to its end, also when whoever waits for it leaves. A panic in it goes on in the caller.
///
/// # Errors
/// A fault when the runtime stops before.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, StorageError> {
    settled(tokio::spawn(work).await)
}

/// Runs computing that takes long away from the threads that serve requests.
///
/// # Errors
/// A fault when the runtime stops before.
pub(super) async fn off_the_workers<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StorageError> {
    settled(tokio::task::spawn_blocking(work).await)
}

fn settled<T>(result: Result<T, JoinError>) -> Result<T, StorageError> {
    result.map_err(|error| match error.try_into_panic() {
        Ok(cause) => panic::resume_unwind(cause),
        Err(error) => StorageError::with_source(StorageErrorKind::Fault, "run", "a task of the content store", error),
    })
}

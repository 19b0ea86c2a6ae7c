//! Looks at several objects that are asked for together.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Key, StorageError};

/// How many are looked at at once.
const AT_ONCE: usize = 8;

/// Looks at each by a call of its own; `None` where there is nothing.
pub(super) async fn each<T, Found>(keys: &[Key], look: impl Fn(Key) -> Found) -> Result<Vec<Option<T>>, StorageError>
where
    Found: Future<Output = Result<T, StorageError>>,
{
    let found = keys.iter().cloned().map(|key| {
        let found = look(key);
        async move { present(found.await) }
    });
    stream::iter(found).buffered(AT_ONCE).try_collect().await
}

/// That nothing is there is an answer here.
pub(super) fn present<T>(found: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

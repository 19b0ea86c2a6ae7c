//! A process that can be killed: between an engine and its store stands a layer through which nothing comes any more
//! from then on. What the engine's threads still do has no effect, as with a dead process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use longshore::storage::adapters::{Adapter, Around, Call};
use longshore::storage::{SharedDriver, StorageError, StorageErrorKind};

#[derive(Clone, Debug, Default)]
pub struct Process {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_dead: AtomicBool,
    /// How many calls are on their way into the store.
    calls: AtomicU64,
}

/// One of them.
struct CallOnItsWay<'a>(&'a AtomicU64);

impl Process {
    /// The store, as the process sees it.
    pub fn driver(&self, store: SharedDriver) -> SharedDriver {
        Arc::new(Adapter::around(store, self.clone()))
    }

    /// No call has an effect once this has returned. (Calls of these stores never wait, so they end at once.)
    pub fn kill(&self) {
        self.state.is_dead.store(true, Ordering::SeqCst);
        while self.state.calls.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now();
        }
    }
}

impl Around for Process {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        let _call = CallOnItsWay(&self.state.calls);
        if self.state.is_dead.load(Ordering::SeqCst) {
            let operation = call.operation.as_str();
            return Err(StorageError::with_source(StorageErrorKind::Fault, operation, call.key, "the process is dead"));
        }
        work.await
    }
}

impl Drop for CallOnItsWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

//! What the adapters' tests share.

use std::sync::Arc;

use crate::storage::memory::{Memory, MemoryOptions};
use crate::storage::suite::{self, Subject};
use crate::storage::{Driver as _, Durability, Key, PutMode, SharedDriver};

pub(super) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// A store that holds one object of so many bytes.
pub(super) async fn filled_memory(name: &str, size: usize) -> SharedDriver {
    let memory = Memory::new(MemoryOptions { max_bytes: 64 << 20 });
    memory.put(&key(name), vec![1; size].into(), PutMode::Create, Durability::Process).await.unwrap();
    Arc::new(memory)
}

/// Runs the suite on a memory driver with adapters around it.
pub(super) async fn suite_passes(adapt: impl Fn(SharedDriver) -> SharedDriver) {
    suite::run(|| {
        let memory = Memory::new(MemoryOptions { max_bytes: 64 << 20 });
        let counted = memory.clone();
        Subject::with_leftovers(adapt(Arc::new(memory)), move || {
            let used_bytes = counted.used_bytes();
            (used_bytes > 0).then(|| format!("{used_bytes} bytes")).into_iter().collect()
        })
    })
    .await;
}

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::http::{NotReady, Readiness};
use crate::storage::{SharedDriver, keys};

/// Ready as long as the storage answers and the process is not stopping.
pub(super) struct StorageReadiness {
    pub driver: SharedDriver,
    pub draining: Arc<AtomicBool>,
}

#[async_trait]
impl Readiness for StorageReadiness {
    async fn check(&self) -> Result<(), NotReady> {
        if self.draining.load(Ordering::Acquire) {
            return Err(NotReady::Draining);
        }
        match self.driver.list(&keys::repositories(), None, 1).await {
            Ok(_) => Ok(()),
            // Nothing has been pushed yet.
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(NotReady::Storage(error.to_string())),
        }
    }
}

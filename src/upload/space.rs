//! Whether the storage has room for new uploads.

use std::sync::Arc;
use std::time::Duration;

use super::roster::Roster;
use super::store::UploadStore;

/// How often it is looked at: one call, so that no upload's start has to wait for it.
const EVERY: Duration = Duration::from_secs(1);

pub(super) async fn watch(store: Arc<UploadStore>, roster: Arc<Roster>) {
    loop {
        look(&store, &roster).await;
        tokio::time::sleep(EVERY).await;
    }
}

pub(super) async fn look(store: &UploadStore, roster: &Roster) {
    let min_free_space = roster.policies().all().min_free_space;
    if min_free_space == 0 {
        if roster.set_space_low(false) {
            log::info!(min_free_space; "free space is not looked at any more");
        }
        return;
    }
    match store.driver.free_space().await {
        Ok(free) => {
            let is_low = free.is_some_and(|free| free < min_free_space);
            if roster.set_space_low(is_low) {
                match is_low {
                    true => {
                        log::warn!(free_bytes:? = free, min_free_space; "free space is low: no new upload is begun")
                    }
                    false => log::info!(free_bytes:? = free, min_free_space; "there is room for new uploads again"),
                }
            }
        }
        Err(error) => log::warn!(error:%; "free space cannot be told"),
    }
}

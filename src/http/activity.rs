//! What a server is doing, so that a stop can wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts what must not be cut off: requests that are being answered, and answers that are not yet
/// written.
#[derive(Debug, Default)]
pub(super) struct Activity {
    running: AtomicUsize,
    stopping: AtomicBool,
    idle: Notify,
}

/// One thing that a stop waits for, until it is dropped.
#[derive(Debug)]
pub(super) struct ActivityGuard(Arc<Activity>);

impl Activity {
    pub(super) fn begin(self: &Arc<Self>) -> ActivityGuard {
        self.running.fetch_add(1, Ordering::AcqRel);
        ActivityGuard(Arc::clone(self))
    }

    /// From now on every answer closes its connection.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until nothing is running.
    pub(super) async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.running.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for ActivityGuard {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn idle_waits_for_the_last_guard() {
        let activity = Arc::new(Activity::default());
        activity.idle().await;
        let first = activity.begin();
        let second = activity.begin();
        let waiting = tokio::spawn({
            let activity = Arc::clone(&activity);
            async move { activity.idle().await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::session::UploadSession;

/// Is told how far a push is, from the tasks that send: it must not block.
pub type OnProgress = Arc<dyn Fn(&PushProgress) + Send + Sync>;

/// How far a push is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushProgress {
    /// How far the bytes are that a connection took; after a failure it steps back to what the registry has.
    pub sent_to: u64,
    /// Bytes that the registry says it has.
    pub acknowledged_bytes: u64,
    /// After a failure, or in a push that goes on with another's upload: the offset that it went on from last.
    pub resumed_from: Option<u64>,
    /// What finds the upload again; `None` for a single POST. Treat it as a secret.
    pub location: Option<String>,
}

/// Tells of progress.
pub(super) struct Report {
    progress: Option<OnProgress>,
    now: Mutex<PushProgress>,
    sent_bytes: AtomicU64,
}

impl Report {
    pub(super) fn new(progress: Option<OnProgress>) -> Self {
        Report { progress, now: Mutex::default(), sent_bytes: AtomicU64::new(0) }
    }

    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn sent(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tell(|now| now.sent_to += bytes);
    }

    pub(super) fn acknowledged(&self, bytes: u64) {
        self.tell(|now| (now.acknowledged_bytes, now.sent_to) = (bytes, bytes));
    }

    pub(super) fn stands(&self, session: &UploadSession, offset: u64) {
        let location = Some(session.location());
        self.tell(|now| (now.acknowledged_bytes, now.sent_to, now.location) = (offset, offset, location));
    }

    pub(super) fn resumed(&self, offset: u64) {
        self.tell(|now| {
            (now.acknowledged_bytes, now.sent_to, now.resumed_from) = (offset, offset, Some(offset));
        });
    }

    fn tell(&self, change: impl FnOnce(&mut PushProgress)) {
        let Some(progress) = &self.progress else { return };
        let told = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut now);
            now.clone()
        };
        progress(&told);
    }
}

//! What an upload's actor lets others see of it without being asked.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::upload::{Policy, UploadState};

/// Over which time the rate is told: it follows a change within about this time.
const RATE_SECONDS: f64 = 5.0;

#[derive(Debug)]
pub(in crate::upload) struct LiveUpload {
    view: Mutex<LiveView>,
}

#[derive(Clone, Copy, Debug)]
pub(in crate::upload) struct LiveView {
    pub started_at: u64,
    pub progress_at: u64,
    pub offset: u64,
    pub state: UploadState,
    pub client: Option<IpAddr>,
    pub deadline: Option<(u64, Policy)>,
    rate: Rate,
}

/// Bytes a second that fade with time.
#[derive(Clone, Copy, Debug)]
struct Rate {
    bytes_per_second: f64,
    at: u64,
}

impl LiveUpload {
    pub fn new(started_at: u64, progress_at: u64, offset: u64, client: Option<IpAddr>) -> Self {
        let rate = Rate { bytes_per_second: 0.0, at: progress_at };
        let view = LiveView { started_at, progress_at, offset, state: UploadState::Open, client, deadline: None, rate };
        LiveUpload { view: Mutex::new(view) }
    }

    pub fn view(&self) -> LiveView {
        *self.lock()
    }

    /// Shows where the upload stands now.
    pub fn show(&self, now: u64, offset: u64, progress_at: u64, state: UploadState, deadline: Option<(u64, Policy)>) {
        let mut view = self.lock();
        let came = offset.saturating_sub(view.offset);
        if came > 0 {
            view.rate.add(came, now);
        }
        (view.offset, view.progress_at, view.state, view.deadline) = (offset, progress_at, state, deadline);
    }

    pub fn set_client(&self, client: Option<IpAddr>) {
        self.lock().client = client;
    }

    fn lock(&self) -> MutexGuard<'_, LiveView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveView {
    /// Bytes a second, as of `now`.
    pub fn rate(&self, now: u64) -> u64 {
        self.rate.faded(now) as u64
    }
}

impl Rate {
    fn faded(&self, now: u64) -> f64 {
        let seconds = now.saturating_sub(self.at) as f64 / 1000.0;
        self.bytes_per_second * (-seconds / RATE_SECONDS).exp()
    }

    fn add(&mut self, bytes: u64, now: u64) {
        self.bytes_per_second = self.faded(now) + bytes as f64 / RATE_SECONDS;
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_settles_at_what_comes_and_fades() {
        let live = LiveUpload::new(0, 0, 0, None);
        for tick in 1..=300u64 {
            live.show(tick * 100, tick * 1000, tick * 100, UploadState::Writing, None);
        }
        let rate = live.view().rate(30_000);
        assert!((9_000..11_500).contains(&rate), "{rate}");
        assert!(live.view().rate(60_000) < 100);
    }
}

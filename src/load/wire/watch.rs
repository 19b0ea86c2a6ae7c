use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use tokio::time::Instant;

use super::exchange::Exchange;
use super::live::Live;
use super::marks::Marks;

tokio::task_local! {
    static CURRENT: Watch;
}

/// Sees the requests of one task: all that are sent within [`Watch::over`], in the order in which they were begun. Many
/// tasks share one [`Wire`](super::Wire); this is how each finds its own requests again.
#[derive(Clone, Default)]
pub struct Watch(Arc<Watched>);

#[derive(Default)]
struct Watched {
    exchanges: Mutex<Vec<Record>>,
    /// Connections on which nothing more is sent, until somebody lets go of them.
    silent: Mutex<Vec<Live>>,
}

/// What is found out about one request; its connection and its watch share it.
#[derive(Clone, Debug)]
pub(super) struct Record(Arc<Mutex<Exchange>>);

impl Watch {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Watch::default()
    }

    /// Does `work` and sees the requests that it sends. Not those of tasks that it spawns.
    pub async fn over<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    /// The requests that were begun since this was last asked.
    pub fn take(&self) -> Vec<Exchange> {
        let records = std::mem::take(&mut *lock(&self.0.exchanges));
        records.iter().map(|record| record.lock().clone()).collect()
    }

    /// Closes the connections that a [`CutKind::Silence`](super::CutKind) left open.
    pub fn end_silence(&self) {
        lock(&self.0.silent).clear();
    }

    /// How many connections are kept open in silence.
    pub fn silent_connections(&self) -> usize {
        lock(&self.0.silent).len()
    }

    /// Begins the record of a request for whoever watches.
    pub(super) fn begin() -> Record {
        let record = Record(Arc::new(Mutex::new(Exchange::begin())));
        let _ = CURRENT.try_with(|watch| lock(&watch.0.exchanges).push(record.clone()));
        record
    }

    /// Keeps a connection open and silent, where somebody watches; else it is closed.
    pub(super) fn keep_silent(live: Live) {
        let _ = CURRENT.try_with(|watch| lock(&watch.0.silent).push(live));
    }
}

impl Record {
    /// The answer's head is there.
    pub(super) fn answered(&self, status: StatusCode) {
        self.lock().status = Some(status);
    }

    /// There will be no answer.
    pub(super) fn end_without_answer(&self) {
        self.lock().ended.get_or_insert_with(Instant::now);
    }

    /// The exchange is over: what its connection noted is kept.
    pub(super) fn end(&self, marks: &Marks) {
        let noted = marks.lock();
        let mut exchange = self.lock();
        exchange.last_sent = noted.last_sent;
        exchange.first_byte = noted.first_byte;
        exchange.sent_bytes = noted.body_bytes;
        exchange.ended = Some(Instant::now());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Exchange> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

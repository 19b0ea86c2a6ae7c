use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::dial::{Dialer, Origin};
use super::live::Live;
use super::options::WireOptions;
use super::watch::Record;
use crate::client::transport::{TransportError, TransportErrorKind};
use crate::load::measure::Recorder;

/// What all requests to a target share: the connections that are free, and who opens new ones.
pub(super) struct Shared {
    pub(super) options: WireOptions,
    /// Who counts connections, if anybody does.
    recorder: Option<Recorder>,
    dialer: Dialer,
    permits: Option<Arc<Semaphore>>,
    /// The one that was used last is used first.
    free: Mutex<HashMap<Origin, Vec<Live>>>,
}

impl Shared {
    pub(super) fn new(options: WireOptions, recorder: Option<Recorder>) -> Self {
        let permits = options.max_connections.map(|most| Arc::new(Semaphore::new(most.max(1) as usize)));
        Shared { dialer: Dialer::new(options.clone()), options, recorder, permits, free: Mutex::default() }
    }

    /// A connection that can take a request: a free one, or a new one.
    pub(super) async fn connection(&self, origin: &Origin, record: &Record) -> Result<Live, TransportError> {
        let permit = match &self.permits {
            Some(permits) => Some(Arc::clone(permits).acquire_owned().await.map_err(|_| closed())?),
            None => None,
        };
        while let Some(mut live) = self.take(origin) {
            if poll_fn(|cx| Poll::Ready(live.is_free(cx))).await {
                live.permit = permit;
                return Ok(live);
            }
        }
        self.make_room();
        let began = Instant::now();
        let dialled = self.dialer.dial(origin).await;
        let socket = dialled.inspect_err(|_| self.count(Recorder::connection_failed))?;
        let took = began.elapsed();
        record.lock().connect = Some(took);
        let mut live = Live::new(socket, origin.clone(), self.recorder.clone()).await?;
        self.count(|recorder| recorder.connection_opened(took));
        live.permit = permit;
        Ok(live)
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, mut live: Live) {
        live.permit = None;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.entry(live.origin.clone()).or_default().push(live);
    }

    /// Closes all connections that are free.
    pub(super) fn close_free(&self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn count(&self, what: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.recorder {
            what(recorder);
        }
    }

    fn take(&self, origin: &Origin) -> Option<Live> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).get_mut(origin)?.pop()
    }

    /// With a bound on connections, the free ones of other origins (who gives tokens, say) count too.
    fn make_room(&self) {
        if self.permits.is_some() {
            self.close_free();
        }
    }
}

fn closed() -> TransportError {
    TransportError::new(TransportErrorKind::Connect, "no more connections are opened")
}

//! A stretch of a source on its way, and what happens to it.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt, stream};

use super::source::BlobSource;
use crate::client::transport::ByteStream;

/// Called with how many more bytes a connection took.
pub(super) type OnSent = Arc<dyn Fn(u64) + Send + Sync>;

/// What became of a stretch at its source.
#[derive(Clone, Default)]
pub(super) struct SourceFault(Arc<Mutex<Option<io::Error>>>);

impl SourceFault {
    /// Why the source could not be read, if it could not.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn set(&self, error: io::Error) -> io::Error {
        let told = io::Error::new(error.kind(), error.to_string());
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
        told
    }
}

/// Exactly `length_bytes` from `offset`.
pub(super) fn stretch(
    source: &dyn BlobSource,
    offset: u64,
    length_bytes: u64,
    on_sent: OnSent,
) -> (ByteStream, SourceFault) {
    let fault = SourceFault::default();
    let state = (source.open(offset), length_bytes, fault.clone());
    let stream = stream::unfold(Some(state), move |state| {
        let on_sent = on_sent.clone();
        async move {
            let (mut body, left, fault) = state?;
            if left == 0 {
                return None;
            }
            match body.next().await {
                Some(Ok(mut piece)) => {
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX).min(piece.len()));
                    let length = piece.len() as u64;
                    on_sent(length);
                    Some((Ok(piece), Some((body, left - length, fault))))
                }
                Some(Err(error)) => Some((Err(fault.set(error)), None)),
                None => {
                    let cause = format!("it ended {left} bytes before its size");
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, cause);
                    Some((Err(fault.set(error)), None))
                }
            }
        }
    });
    (stream.boxed(), fault)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;

    use super::*;

    /// Says that it has more than it has.
    struct Short(Bytes);

    impl BlobSource for Short {
        fn size_bytes(&self) -> u64 {
            self.0.len() as u64 + 1
        }

        fn open(&self, offset: u64) -> ByteStream {
            self.0.open(offset)
        }
    }

    #[tokio::test]
    async fn no_more_and_no_less_is_sent() {
        let sent = Arc::new(AtomicU64::new(0));
        let count = sent.clone();
        let on_sent: OnSent = Arc::new(move |bytes| {
            count.fetch_add(bytes, Ordering::SeqCst);
        });
        let source = Short(Bytes::from_static(b"0123456789"));
        let (stream, fault) = stretch(&source, 2, 5, on_sent.clone());
        let pieces: Vec<_> = stream.map(|piece| piece.unwrap()).collect().await;
        assert_eq!(pieces.concat(), b"23456");
        assert!(fault.take().is_none());
        assert_eq!(sent.load(Ordering::SeqCst), 5);

        let (stream, fault) = stretch(&source, 8, 3, on_sent);
        let pieces: Vec<_> = stream.collect().await;
        assert!(pieces.last().unwrap().is_err());
        assert_eq!(fault.take().unwrap().kind(), io::ErrorKind::UnexpectedEof);
    }
}

//! Bodies of requests: parts of a blob, at full speed, dripping, with a stop, cut off.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::SetOnce;
use tokio::time::Instant;

use crate::client::transport::{Body, ByteStream};
use crate::load::content::{Blob, Chunks};
use crate::load::measure::Recorder;
use crate::load::wire::{Cut, CutKind};

/// How often a second a dripping body sends a piece.
const DRIPS_A_SECOND: u64 = 10;

/// A part of a blob as a body.
#[derive(Clone)]
pub(super) struct Part {
    blob: Blob,
    range: Range<u64>,
    tells_length: bool,
    cut: Option<CutPoint>,
    /// Bytes a second, where it is to be slow.
    drip: Option<u64>,
    /// Where it stands still, and for how long.
    stop: Option<(u64, Duration)>,
}

/// Where a body is cut, how, and when that was.
#[derive(Clone)]
pub(super) struct CutPoint {
    pub(super) offset: u64,
    pub(super) kind: CutKind,
    moment: Arc<SetOnce<Instant>>,
}

struct Sending {
    chunks: Chunks,
    /// The rest of a piece of which a part was sent.
    rest: Bytes,
    offset: u64,
    cut: Option<CutPoint>,
    drip: Option<u64>,
    stop: Option<(u64, Duration)>,
    next_drip: Option<Instant>,
    recorder: Recorder,
}

impl CutPoint {
    pub(super) fn new(offset: u64, kind: CutKind) -> Self {
        CutPoint { offset, kind, moment: Arc::default() }
    }

    /// When all bytes before it had been handed over; `None` when it did not come so far.
    pub(super) fn moment(&self) -> Option<Instant> {
        self.moment.get().copied()
    }

    /// Resolves at that moment.
    pub(super) async fn reached(&self) {
        self.moment.wait().await;
    }
}

impl Part {
    /// A range of a blob, with its length told.
    pub(super) fn of(blob: &Blob, range: Range<u64>) -> Self {
        Part { blob: blob.clone(), range, tells_length: true, cut: None, drip: None, stop: None }
    }

    /// All of a blob.
    pub(super) fn whole(blob: &Blob) -> Self {
        Part::of(blob, 0..blob.size())
    }

    /// Its length is not told: the coding shows the end.
    pub(super) fn streamed(mut self) -> Self {
        self.tells_length = false;
        self
    }

    /// It is cut when all before an offset of the blob is on its way.
    pub(super) fn cut(mut self, point: &CutPoint) -> Self {
        self.cut = Some(point.clone());
        self
    }

    /// It goes at so many bytes a second.
    pub(super) fn drip(mut self, bytes_per_second: u64) -> Self {
        self.drip = Some(bytes_per_second.max(1));
        self
    }

    /// It stands still at `offset` of the blob for a time.
    pub(super) fn stop(mut self, offset: u64, length: Duration) -> Self {
        self.stop = Some((offset, length));
        self
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Where what is sent of it ends.
    pub(super) fn end(&self) -> u64 {
        self.cut.as_ref().map_or(self.range.end, |cut| cut.offset)
    }

    pub(super) fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    pub(super) fn body(self, recorder: &Recorder) -> Body {
        let length = self.tells_length.then(|| self.length());
        if length == Some(0) {
            return Body::Empty;
        }
        let sending = Sending {
            chunks: self.blob.range(self.range.clone()),
            rest: Bytes::new(),
            offset: self.range.start,
            cut: self.cut,
            drip: self.drip,
            stop: self.stop,
            next_drip: None,
            recorder: recorder.clone(),
        };
        Body::Stream { length, stream: sending.stream() }
    }
}

impl Sending {
    fn stream(mut self) -> ByteStream {
        if self.cut.is_none() && self.drip.is_none() && self.stop.is_none() {
            // By far the most bodies: nothing is waited for, and pieces go as they are.
            let pieces = std::iter::from_fn(move || self.chunks.next().map(|piece| Ok(self.sent(piece))));
            return stream::iter(pieces).boxed();
        }
        stream::unfold(self, |mut sending| async move {
            let piece = sending.next().await?;
            Some((piece, sending))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(cut) = &self.cut
            && cut.offset == self.offset
        {
            let _ = cut.moment.set(Instant::now());
            return Some(Err(Cut(cut.kind).into_io()));
        }
        if self.rest.is_empty() {
            self.rest = self.chunks.next()?;
        }
        if let Some((at, length)) = self.stop
            && at == self.offset
        {
            self.stop = None;
            tokio::time::sleep(length).await;
        }
        let mut most = self.rest.len() as u64;
        if let Some(bytes_per_second) = self.drip {
            self.wait_for_drip(bytes_per_second).await;
            most = most.min((bytes_per_second / DRIPS_A_SECOND).max(1));
        }
        let ends = [self.stop.map(|(at, _)| at), self.cut.as_ref().map(|cut| cut.offset)];
        for end in ends.into_iter().flatten().filter(|end| *end > self.offset) {
            most = most.min(end - self.offset);
        }
        // It is at most the length of a piece, which is an `usize`.
        let piece = self.rest.split_to(most as usize);
        Some(Ok(self.sent(piece)))
    }

    /// Pieces are a tenth of a second apart, or further where a byte is more than the rate allows in that time.
    async fn wait_for_drip(&mut self, bytes_per_second: u64) {
        let drips = DRIPS_A_SECOND.min(bytes_per_second);
        let due = self.next_drip.unwrap_or_else(Instant::now);
        tokio::time::sleep_until(due).await;
        self.next_drip = Some(due + Duration::from_secs(1) / drips as u32);
    }

    fn sent(&mut self, piece: Bytes) -> Bytes {
        self.offset += piece.len() as u64;
        self.recorder.moved(piece.len() as u64);
        piece
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::load::content::Source;
    use crate::load::plan::ContentPlan;

    async fn blob(size: u64) -> Blob {
        let plan = ContentPlan { piece_size: 1000, ..ContentPlan::default() };
        Source::new(&plan, 1).blob(size).await
    }

    /// When each piece came, and its length; how it ended.
    async fn pieces(part: Part, recorder: &Recorder) -> (Vec<(Duration, usize)>, Option<io::Error>) {
        let Body::Stream { mut stream, .. } = part.body(recorder) else { return (Vec::new(), None) };
        let began = Instant::now();
        let mut pieces = Vec::new();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => pieces.push((began.elapsed(), piece.len())),
                Err(error) => return (pieces, Some(error)),
            }
        }
        (pieces, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_stops_is_cut_and_drips_where_it_should() {
        let (blob, recorder) = (blob(5000).await, Recorder::new());
        let seconds = Duration::from_secs;

        let stopped = Part::of(&blob, 500..3000).stop(1700, seconds(9));
        let came = [(seconds(0), 1000), (seconds(0), 200), (seconds(9), 800), (seconds(9), 500)];
        assert_eq!(pieces(stopped, &recorder).await.0, came);

        let point = CutPoint::new(1700, CutKind::Silence);
        let (sent, error) = pieces(Part::of(&blob, 500..3000).cut(&point), &recorder).await;
        assert_eq!(sent.iter().map(|(_, length)| length).sum::<usize>(), 1200);
        assert!(error.unwrap().to_string().contains("silence") && point.moment().is_some());

        let tenth = Duration::from_millis(100);
        let (sent, error) = pieces(Part::of(&blob, 0..350).drip(1000), &recorder).await;
        assert_eq!(sent, [(seconds(0), 100), (tenth, 100), (tenth * 2, 100), (tenth * 3, 50)]);
        assert!(error.is_none());
        let (slow, _) = pieces(Part::of(&blob, 0..3).drip(1), &recorder).await;
        assert_eq!(slow, [(seconds(0), 1), (seconds(1), 1), (seconds(2), 1)]);
        assert_eq!(recorder.sample(0.0).bytes, 2500 + 1200 + 350 + 3);
    }

    #[tokio::test]
    async fn a_body_tells_its_length_unless_it_is_streamed() {
        let (blob, recorder) = (blob(5000).await, Recorder::new());
        let length = |part: Part| part.body(&recorder).length();
        assert_eq!(length(Part::whole(&blob)), Some(5000));
        assert_eq!(length(Part::of(&blob, 10..30)), Some(20));
        assert_eq!(length(Part::of(&blob, 10..10)), Some(0));
        assert_eq!(length(Part::whole(&blob).streamed()), None);
    }
}

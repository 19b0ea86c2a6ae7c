//! What comes in on a connection, and who gets it.
//!
//! actix-http reads a body in small steps, into memory that it has to get anew while pieces are under way, hands it over by
//! way of a queue, and takes the next request before the one before it was answered. So over HTTP/1.1 it gets one head at a
//! time, of which it is told that there is no body: bodies are read from the socket by whom they are for. A request that
//! is wrong, or no usual one, goes to actix-http as it comes, with all that follows on the connection; so does HTTP/2.

use std::cell::{Cell, RefCell, RefMut};
use std::mem::MaybeUninit;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, ReadBuf};

use super::blocks;
use super::body::BodyError;
use super::chunked::{Chunked, Malformed, Next, NextRead};
use super::head::{Framing, Head};
use super::transport::Transport;

/// How much is read at once where a head is expected.
const SMALL_READ_BYTES: usize = 16 * 1024;

/// A head that is longer goes to actix-http, which refuses it.
const MOST_HEAD_BYTES: usize = 128 * 1024;

/// What comes in on a connection.
pub(super) struct Inlet {
    transport: RefCell<Transport>,
    stage: Cell<Stage>,
    /// How the body of the request that runs ends, until somebody begins to take it.
    announced: Cell<Option<Framing>>,
    body: RefCell<Body>,
    /// Where in its file the next byte of that body will lie.
    offset: Cell<u64>,
    /// What was read and belongs to nobody yet.
    rest: RefCell<BytesMut>,
    /// What is to be received into, while a body is.
    block: RefCell<Option<BytesMut>>,
    /// The peer sends no more, or cannot.
    ended: Cell<bool>,
    /// Waits for the request that runs to end.
    waiting: Cell<Option<Waker>>,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The next bytes are a head.
    Head,
    /// So many bytes of `rest` are a head on its way to actix-http.
    HandingOver { head_bytes: usize },
    /// A request runs.
    Running,
    /// Everything is for actix-http.
    Open,
}

/// What of a body was not taken yet.
enum Body {
    /// So many bytes.
    Sized(u64),
    /// Chunks.
    Chunked(Chunked),
}

impl Inlet {
    /// `prefix` is what was read already. What `is_open` goes to actix-http as it comes.
    pub(super) fn new(transport: Transport, prefix: Bytes, is_open: bool) -> Self {
        Inlet {
            transport: RefCell::new(transport),
            stage: Cell::new(if is_open { Stage::Open } else { Stage::Head }),
            announced: Cell::new(None),
            body: RefCell::new(Body::Sized(0)),
            offset: Cell::new(0),
            rest: RefCell::new(prefix.into()),
            block: RefCell::new(None),
            ended: Cell::new(false),
            waiting: Cell::new(None),
        }
    }

    /// The way out, and the socket.
    pub(super) fn transport(&self) -> RefMut<'_, Transport> {
        self.transport.borrow_mut()
    }

    /// What actix-http gets next; nothing is the connection's end.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        loop {
            match self.stage.get() {
                Stage::Head => {
                    if self.find_head() {
                        continue;
                    }
                    if self.ended.get() {
                        return Poll::Ready(());
                    }
                    ready!(self.poll_fill(cx, SMALL_READ_BYTES));
                }
                Stage::HandingOver { head_bytes } => {
                    let given = self.give(buffer, head_bytes);
                    let head_bytes = head_bytes - given;
                    self.stage.set(if head_bytes > 0 { Stage::HandingOver { head_bytes } } else { Stage::Running });
                    return Poll::Ready(());
                }
                Stage::Running => {
                    // What follows belongs to the next request, and the end is told when everything before it was taken.
                    if !self.body.borrow().is_taken() || !self.rest.borrow().is_empty() {
                        self.waiting.set(Some(cx.waker().clone()));
                        return Poll::Pending;
                    }
                    if self.ended.get() {
                        return Poll::Ready(());
                    }
                    ready!(self.poll_fill(cx, SMALL_READ_BYTES));
                }
                Stage::Open => {
                    if self.give(buffer, usize::MAX) == 0 && !self.ended.get() {
                        let filled_before = buffer.filled().len();
                        // A reset is an end as well: what came before it is handed over first.
                        let read = ready!(self.transport.borrow_mut().poll_read(cx, buffer));
                        self.ended.set(read.is_err() || buffer.filled().len() == filled_before);
                    }
                    return Poll::Ready(());
                }
            }
        }
    }

    /// How the body of the request that runs ends, where it is to be read here. It is told once.
    pub(super) fn begin_body(&self) -> Option<Framing> {
        self.offset.set(0);
        self.announced.take()
    }

    /// Says where in its file that body will lie. It is received into memory that suits this; nothing else depends on it.
    pub(super) fn body_lies_at(&self, offset: u64) {
        self.offset.set(offset);
    }

    /// Resolves when more of that body can be received, or its end was. Meanwhile no block is kept.
    pub(super) fn poll_something_there(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended.get() {
            return Poll::Ready(());
        }
        self.give_block_back();
        self.transport.borrow_mut().poll_read_ready(cx)
    }

    /// Receives more of that body, no more than `most_bytes`, or notes the end; gives how many bytes came. To be called when
    /// all that was received before is taken.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>, most_bytes: usize) -> Poll<usize> {
        if !self.ended.get() {
            let next_read = self.body.borrow().next_read();
            let received = match next_read {
                NextRead::Little(read_bytes) => self.poll_fill(cx, read_bytes),
                NextRead::Content(left) => self.poll_block(cx, most_bytes.min(left.try_into().unwrap_or(usize::MAX))),
                NextRead::All => self.poll_block(cx, most_bytes),
            };
            if received.is_pending() {
                self.give_block_back();
            }
            ready!(received);
        }
        Poll::Ready(self.rest.borrow().len())
    }

    /// The next piece of that body that was received already; `None` in it at its end. None when more has to be received.
    pub(super) fn next_received(&self) -> Option<Result<Option<Bytes>, BodyError>> {
        let piece = match self.split_off_rest() {
            Ok(piece) => piece,
            Err(malformed) => return Some(Err(malformed)),
        };
        let is_taken = self.body_is_taken();
        if is_taken && let Some(block) = self.block.take() {
            // What follows on the body does not keep the block.
            self.rest.replace_with(|rest| BytesMut::from(&rest[..]));
            blocks::give_back(block);
        }
        if piece.is_some() || is_taken {
            return Some(Ok(piece));
        }
        self.ended.get().then_some(Err(BodyError::Cut))
    }

    /// The next piece of that body; `None` at its end.
    pub(super) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            if let Some(received) = self.next_received() {
                return Poll::Ready(received);
            }
            ready!(self.poll_receive(cx, usize::MAX));
        }
    }

    /// Whether all of that body was taken.
    pub(super) fn body_is_taken(&self) -> bool {
        self.body.borrow().is_taken()
    }

    /// The request that ran was answered: what follows is the next one. Behind a body that was not taken nothing is known to
    /// be one; then the connection ends.
    pub(super) fn request_over(&self) {
        if matches!(self.stage.get(), Stage::Running) && self.body_is_taken() {
            self.stage.set(Stage::Head);
        }
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Whether what is to go on was found out: `rest` begins with a head, or with what is none.
    fn find_head(&self) -> bool {
        let mut rest = self.rest.borrow_mut();
        if rest.is_empty() {
            return false;
        }
        let next = match Head::find(&rest) {
            Head::Partial if rest.len() < MOST_HEAD_BYTES => return false,
            Head::Whole { end, body } => {
                if let Some(announced) = &body {
                    announced.hide(&mut rest[..end]);
                }
                let framing = body.map(|announced| announced.framing);
                self.body.replace(Body::of(framing));
                self.announced.set(framing);
                Stage::HandingOver { head_bytes: end }
            }
            Head::Partial | Head::Other => Stage::Open,
        };
        self.stage.set(next);
        true
    }

    /// Moves what was read already into `buffer`, at most so much; how much it was.
    fn give(&self, buffer: &mut ReadBuf<'_>, most_bytes: usize) -> usize {
        let mut rest = self.rest.borrow_mut();
        let given = rest.len().min(most_bytes).min(buffer.remaining());
        buffer.put_slice(&rest[..given]);
        rest.advance(given);
        forget_if_empty(&mut rest);
        given
    }

    /// Reads on into `rest`, no more than `most_bytes`, or notes the end.
    fn poll_fill(&self, cx: &mut Context<'_>, most_bytes: usize) -> Poll<()> {
        let mut space = [const { MaybeUninit::uninit() }; SMALL_READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut space[..most_bytes.min(SMALL_READ_BYTES)]);
        let read = ready!(self.transport.borrow_mut().poll_read(cx, &mut buffer));
        self.ended.set(read.is_err() || buffer.filled().is_empty());
        self.rest.borrow_mut().extend_from_slice(buffer.filled());
        Poll::Ready(())
    }

    /// The next piece of the body that was read already.
    fn split_off_rest(&self) -> Result<Option<Bytes>, BodyError> {
        let (mut rest, mut body) = (self.rest.borrow_mut(), self.body.borrow_mut());
        let piece = body.split_off(&mut rest).map_err(|Malformed| BodyError::Malformed);
        forget_if_empty(&mut rest);
        if let Ok(Some(piece)) = &piece {
            self.offset.set(self.offset.get().wrapping_add(piece.len() as u64));
        }
        piece
    }

    /// Whoever waits keeps no block: others may have more use for it.
    fn give_block_back(&self) {
        if let Some(block) = self.block.take() {
            blocks::give_back(block);
        }
    }

    /// Reads into a block, the rest of which is for what comes next; or notes the end.
    fn poll_block(&self, cx: &mut Context<'_>, most_bytes: usize) -> Poll<()> {
        let mut slot = self.block.borrow_mut();
        let offset = self.offset.get();
        if let Some(full) = slot.take_if(|block| !blocks::make_fit(block, offset)) {
            blocks::give_back(full);
        }
        let block = slot.get_or_insert_with(|| blocks::take(offset));
        // It takes no more than it has room for.
        let room = blocks::room(block).min(most_bytes);
        let mut limited = block.limit(room);
        let mut transport = self.transport.borrow_mut();
        let read = ready!(pin!(transport.read_buf(&mut limited)).poll(cx));
        self.ended.set(!matches!(read, Ok(1..)));
        // It is asked for more only when all that was read before is through.
        *self.rest.borrow_mut() = block.split();
        Poll::Ready(())
    }
}

/// Nothing of memory that was read into stays with a connection that waits.
fn forget_if_empty(rest: &mut BytesMut) {
    if rest.is_empty() {
        *rest = BytesMut::new();
    }
}

impl Body {
    fn of(framing: Option<Framing>) -> Self {
        match framing {
            None => Body::Sized(0),
            Some(Framing::Sized(length)) => Body::Sized(length),
            Some(Framing::Chunked) => Body::Chunked(Chunked::new()),
        }
    }

    fn is_taken(&self) -> bool {
        match self {
            Body::Sized(left) => *left == 0,
            Body::Chunked(chunked) => chunked.is_at_end(),
        }
    }

    /// How much is best received next. A small rest is not worth a block.
    fn next_read(&self) -> NextRead {
        match self {
            Body::Sized(left) if *left <= SMALL_READ_BYTES as u64 => NextRead::Little(SMALL_READ_BYTES),
            Body::Sized(_) => NextRead::All,
            Body::Chunked(chunked) => chunked.next_read(),
        }
    }

    /// Takes the next piece off what was read.
    fn split_off(&mut self, read: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        match self {
            Body::Sized(left) => {
                let taken = read.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok((taken > 0).then(|| read.split_to(taken).freeze()))
            }
            Body::Chunked(chunked) => match chunked.next(read)? {
                Next::Content(piece) => Ok(Some(piece)),
                Next::More | Next::End => Ok(None),
            },
        }
    }
}

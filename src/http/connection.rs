//! A connection, with the limits that actix-http does not have.
//!
//! actix-http bounds the time of the first request's head only, and reads a body that nobody wants
//! until it ends. So the socket is wrapped: it ends when no request has been running for too long
//! (half-sent heads and quiet HTTP/2 connections included), when the client does not take its answer,
//! and it closes in bounded time and bytes after an answer that came before the end of a body.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::activity::ActivityGuard;
use super::connection_state::ConnectionState;
use super::transport::Transport;

/// How much of an unwanted body is read and dropped while the connection closes, so that the client
/// reads the answer before it sees the reset. More is left in the socket.
const LINGER_BYTES: usize = 64 * 1024;

/// How long a client may take no byte of its answer.
pub(super) const WRITE_STALL: Duration = Duration::from_secs(300);

/// The times of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// For the first byte, and for each head.
    pub(super) head_timeout: Duration,
    /// Between requests.
    pub(super) keep_alive: Duration,
    /// For closing.
    pub(super) disconnect_timeout: Duration,
    /// While a client takes no byte of its answer.
    pub(super) write_stall: Duration,
}

/// A socket with limits.
pub(super) struct Connection {
    state: Rc<ConnectionState>,
    limits: ConnectionLimits,
    idle_timer: Pin<Box<Sleep>>,
    /// There is something that the client does not take.
    stalled: Option<(Pin<Box<Sleep>>, ActivityGuard)>,
    closing: Closing,
}

enum Closing {
    No,
    /// Our side is being closed.
    Ours(Pin<Box<Sleep>>),
    /// Our side is closed; the peer's is waited for.
    Lingering {
        deadline: Pin<Box<Sleep>>,
        bytes_left: usize,
    },
}

impl Connection {
    pub(super) fn new(state: Rc<ConnectionState>, limits: ConnectionLimits) -> Self {
        let idle_timer = Box::pin(sleep(limits.head_timeout));
        Connection { state, limits, idle_timer, stalled: None, closing: Closing::No }
    }

    pub(super) fn state(&self) -> Rc<ConnectionState> {
        Rc::clone(&self.state)
    }

    /// Whether the connection has been without a running request for too long. The timer is set again
    /// when it rings, not at each request: it is late by one period at most, and costs nothing.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.idle_timer.as_mut().poll(cx));
            let between = self.limits.keep_alive + self.limits.head_timeout;
            let ends_at = self.state.idle_until(self.limits.head_timeout, between);
            if self.state.is_stalled(self.limits.write_stall) || ends_at <= Instant::now() {
                return Poll::Ready(());
            }
            self.idle_timer.as_mut().reset(ends_at);
        }
    }

    /// Notes whether the client takes what is written, and gives up when it does not for too long.
    fn watch_write(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let (state, allowed) = (&self.state, self.limits.write_stall);
        let (timer, _) = self.stalled.get_or_insert_with(|| (Box::pin(sleep(allowed)), state.begin_activity()));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "client does not take its answer")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.state.has_answered_early() {
            // The answer's way out wakes the task; what comes in is of no interest any more.
            return Poll::Pending;
        }
        if self.state.inlet().poll_read(cx, buffer).is_ready() {
            return Poll::Ready(Ok(()));
        }
        // Too long without a request: as if the client had closed.
        self.poll_idle(cx).map(Ok)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.state.direct().check_write()?;
        let written = self.state.inlet().transport().poll_write(cx, data);
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.state.direct().check_write()?;
        let written = self.state.inlet().transport().poll_write_vectored(cx, data);
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.state.inlet().transport().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut transport = self.state.inlet().transport();
        if let Transport::Plain(tcp) = &*transport {
            ready!(self.state.direct().poll_send(cx, tcp, self.limits.write_stall))?;
        }
        transport.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match &mut this.closing {
                Closing::No => this.closing = Closing::Ours(Box::pin(sleep(this.limits.disconnect_timeout))),
                Closing::Ours(deadline) => {
                    if deadline.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(Ok(()));
                    }
                    ready!(this.state.inlet().transport().poll_shutdown(cx))?;
                    let deadline = Box::pin(sleep(this.limits.disconnect_timeout));
                    this.closing = Closing::Lingering { deadline, bytes_left: LINGER_BYTES };
                }
                Closing::Lingering { deadline, bytes_left } => {
                    let mut transport = this.state.inlet().transport();
                    let lingering = linger(transport.tcp(), deadline.as_mut(), bytes_left, cx);
                    // Where nothing was sent that we did not want, there is nothing to wait for.
                    let is_clean = !this.state.has_answered_early() && *bytes_left == LINGER_BYTES;
                    return if is_clean { Poll::Ready(Ok(())) } else { lingering.map(Ok) };
                }
            }
        }
    }
}

/// Drops what still comes in until the peer has closed, too much came, or time is up. Where more comes
/// than is dropped, the socket stays open for the rest of the time, so that the answer gets through.
fn linger(tcp: &mut TcpStream, deadline: Pin<&mut Sleep>, bytes_left: &mut usize, cx: &mut Context<'_>) -> Poll<()> {
    if deadline.poll(cx).is_ready() {
        return Poll::Ready(());
    }
    let mut dropped = [0; 8 * 1024];
    while *bytes_left > 0 {
        let wanted = dropped.len().min(*bytes_left);
        let mut buffer = ReadBuf::new(&mut dropped[..wanted]);
        match ready!(Pin::new(&mut *tcp).poll_read(cx, &mut buffer)) {
            Ok(()) if !buffer.filled().is_empty() => *bytes_left -= buffer.filled().len(),
            _ => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

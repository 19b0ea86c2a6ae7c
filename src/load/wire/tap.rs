use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::cut::CutKind;
use super::marks::{BodyState, Marks};

/// A connection's socket, with or without TLS.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The socket as HTTP sees it: notes when bytes go and come, and cuts.
pub(super) struct Tap {
    socket: Socket,
    marks: Marks,
}

impl Tap {
    pub(super) fn new(socket: Socket, marks: Marks) -> Self {
        Tap { socket, marks }
    }

    /// Makes the socket's end a reset. It is a fault only of the socket, which is then at its end anyway.
    pub(super) fn reset(self) {
        let tcp = match &self.socket {
            Socket::Plain(tcp) => tcp,
            Socket::Tls(tls) => tls.get_ref().0,
        };
        let _ = tcp.set_zero_linger();
    }

    /// A socket that takes no more bytes may still hold the answer that says why (a 413, say): it is waited for, and
    /// reading tells the fault when there is none.
    fn noted(&self, written: io::Result<usize>) -> Poll<io::Result<usize>> {
        let mut noted = self.marks.lock();
        match written {
            Ok(count) => {
                let now = Instant::now();
                noted.last_sent = Some(now);
                noted.last_progress = now;
                Poll::Ready(Ok(count))
            }
            Err(error) if is_gone(&error) && noted.first_byte.is_none() && !noted.write_failed => {
                noted.write_failed = true;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

impl Socket {
    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        match self {
            Socket::Plain(tcp) => Pin::new(tcp),
            Socket::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let filled_before = buf.filled().len();
        let read = match &mut this.socket {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Socket::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        };
        if read.is_ready() && buf.filled().len() > filled_before {
            let now = Instant::now();
            let mut noted = this.marks.lock();
            noted.first_byte.get_or_insert(now);
            noted.last_progress = now;
        }
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.marks.lock().write_failed {
            return Poll::Pending;
        }
        let written = ready!(this.socket.writer().poll_write(cx, bytes));
        this.noted(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.marks.lock().write_failed {
            return Poll::Pending;
        }
        let written = ready!(this.socket.writer().poll_write_vectored(cx, slices));
        this.noted(written)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(tcp) => tcp.is_write_vectored(),
            Socket::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.socket.writer().poll_flush(cx))?;
        let asked = match this.marks.lock().body {
            BodyState::CutAsked(kind) => kind,
            _ => return Poll::Ready(Ok(())),
        };
        if asked == CutKind::HalfClose {
            ready!(this.socket.writer().poll_shutdown(cx))?;
        }
        this.marks.lock().body = BodyState::Cut(asked);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket.writer().poll_shutdown(cx)
    }
}

//! What stands before a connection reaches actix-http: finding out its protocol in bounded time.
//!
//! actix-http peeks at a clear-text connection without a time-out, so that one that sends nothing stays
//! for ever. Here the first bytes are read under a deadline and handed on.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::Protocol;
use actix_http::error::DispatchError;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::connection::{Connection, ConnectionLimits};
use super::connection_state::ConnectionState;
use super::direct::DirectSend;
use super::inlet::Inlet;
use super::transport::Transport;

/// How an HTTP/2 connection begins.
///
/// Source: RFC 9113, section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a silent peer may stay away before the kernel asks whether it is still there.
const TCP_KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How connections of one listener are taken in.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) limits: ConnectionLimits,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) http2_in_clear_text: bool,
    pub(super) activity: Arc<Activity>,
    /// How many connections may send content directly at once.
    pub(super) direct_slots: Arc<Semaphore>,
}

/// What actix-http needs to serve a connection.
pub(super) type Admitted = (Connection, Protocol, Option<std::net::SocketAddr>);

impl Guard {
    /// Takes a fresh connection in, or drops it when it does not begin in time.
    pub(super) async fn admit(&self, stream: TcpStream) -> Result<Admitted, DispatchError> {
        let peer = stream.peer_addr().ok();
        prepare(&stream);
        let begun = timeout(self.limits.head_timeout, self.begin(stream)).await;
        let (transport, prefix, protocol) = begun.map_err(|_| DispatchError::SlowRequestTimeout)??;
        let is_tls = matches!(transport, Transport::Tls(_));
        let is_http2 = protocol == Protocol::Http2;
        let direct = DirectSend::new(Arc::clone(&self.direct_slots));
        let inlet = Inlet::new(transport, prefix, is_http2);
        let state = Rc::new(ConnectionState::new(is_tls, is_http2, inlet, Arc::clone(&self.activity), direct));
        Ok((Connection::new(state, self.limits), protocol, peer))
    }

    async fn begin(&self, mut stream: TcpStream) -> io::Result<(Transport, Bytes, Protocol)> {
        if let Some(acceptor) = &self.tls {
            let stream = acceptor.accept(stream).await?;
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
            return Ok((Transport::Tls(Box::new(stream)), Bytes::new(), protocol));
        }
        let (prefix, protocol) =
            if self.http2_in_clear_text { read_protocol(&mut stream).await? } else { (Bytes::new(), Protocol::Http1) };
        Ok((Transport::Plain(stream), prefix, protocol))
    }
}

/// Reads as much as it takes to tell HTTP/2 from HTTP/1.1; what was read comes back.
async fn read_protocol(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Bytes, Protocol)> {
    let mut start = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut start).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let compared = start.len().min(HTTP2_PREFACE.len());
        if start[..compared] != HTTP2_PREFACE[..compared] {
            return Ok((start.freeze(), Protocol::Http1));
        }
        if compared == HTTP2_PREFACE.len() {
            return Ok((start.freeze(), Protocol::Http2));
        }
    }
}

/// A socket that cannot be tuned serves as it is.
fn prepare(stream: &TcpStream) {
    use rustix::net::sockopt;
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| Ok(sockopt::set_socket_keepalive(stream, true)?))
        .and_then(|()| Ok(sockopt::set_tcp_keepidle(stream, TCP_KEEP_ALIVE)?));
    if let Err(error) = tuned {
        log::debug!(error:% = error; "a socket could not be tuned");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn protocol_of(pieces: &[&[u8]]) -> io::Result<(Bytes, Protocol)> {
        let (mut client, mut server) = tokio::io::duplex(64);
        let reading = async { read_protocol(&mut server).await };
        let writing = async move {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(reading, writing).0
    }

    #[tokio::test]
    async fn methods_that_begin_like_the_preface_are_told_from_it() {
        let (prefix, protocol) = protocol_of(&[b"P", b"R", b"OPFIND / HTTP/1.1\r\n"]).await.unwrap();
        assert_eq!(protocol, Protocol::Http1);
        assert!(prefix.starts_with(b"PRO"));
        let (prefix, protocol) = protocol_of(&[b"PRI * HTT", b"P/2.0\r\n\r\nSM\r\n\r\n", b"rest"]).await.unwrap();
        assert_eq!(protocol, Protocol::Http2);
        assert!(prefix.starts_with(HTTP2_PREFACE));
        let (_, protocol) = protocol_of(&[b"GET / HTTP/1.1\r\n"]).await.unwrap();
        assert_eq!(protocol, Protocol::Http1);
    }

    #[tokio::test]
    async fn a_connection_that_ends_before_it_began_is_an_error() {
        assert_eq!(protocol_of(&[]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(protocol_of(&[b"PRI"]).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}

//! Against servers in this process that speak as the test says.

use std::io;
use std::net::SocketAddr;

use futures_util::TryStreamExt;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// Serves one connection; gives what `serve` gives.
async fn server<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        serve(connection).await
    });
    (address, served)
}

/// Reads up to the end of a request's head, and what came behind it.
async fn read_head(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(connection.read_buf(&mut read).await.unwrap() > 0, "{}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

async fn answer(connection: &mut (impl AsyncRead + AsyncWrite + Unpin), text: &str) -> String {
    let head = read_head(connection).await;
    connection.write_all(text.as_bytes()).await.unwrap();
    head
}

fn request(method: Method, address: SocketAddr, body: Body) -> Request {
    let url = format!("http://{address}/v2/?a=secret").parse().unwrap();
    Request { method, url, headers: http::HeaderMap::new(), body }
}

fn get(address: SocketAddr) -> Request {
    request(Method::GET, address, Body::Empty)
}

fn transport() -> HttpTransport {
    HttpTransport::new(HttpTransportOptions::default())
}

fn impatient() -> HttpTransport {
    HttpTransport::new(HttpTransportOptions { idle_timeout: Duration::from_millis(20), ..Default::default() })
}

async fn body_of(response: Response) -> io::Result<Vec<u8>> {
    let pieces: Vec<Bytes> = response.body.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn an_answer_is_given_as_it_came() {
    let text = "HTTP/1.1 307 x\r\nlocation: /elsewhere\r\ncontent-length: 5\r\ncontent-encoding: gzip\r\n\r\nhello";
    let (address, served) = server(async move |mut connection| answer(&mut connection, text).await).await;
    let response = transport().send(get(address)).await.unwrap();
    assert_eq!(response.status, 307);
    assert_eq!(response.headers["location"], "/elsewhere");
    assert_eq!(response.url.query(), Some("a=secret"));
    assert_eq!(body_of(response).await.unwrap(), b"hello");
    let head = served.await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /v2/?a=secret http/1.1\r\n") && !head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn lengths_of_bodies_are_told() {
    let pieces = || stream::iter([Ok(Bytes::from("ab")), Ok(Bytes::from("c"))]).boxed();
    for (method, body, expected, sent) in [
        (Method::POST, Body::Empty, "content-length: 0\r\n", ""),
        (Method::PUT, Body::Bytes(Bytes::from("abc")), "content-length: 3\r\n", "abc"),
        (Method::PATCH, Body::Stream { length: Some(3), stream: pieces() }, "content-length: 3\r\n", "abc"),
        (Method::PATCH, Body::Stream { length: None, stream: pieces() }, "transfer-encoding: chunked\r\n", "0\r\n\r\n"),
    ] {
        let (address, served) = server(async move |mut connection| {
            let mut read = read_head(&mut connection).await;
            while !read.ends_with(sent) {
                let mut more = [0; 64];
                let length = connection.read(&mut more).await.unwrap();
                read.push_str(std::str::from_utf8(&more[..length]).unwrap());
            }
            connection.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            read
        })
        .await;
        transport().send(request(method, address, body)).await.unwrap();
        let read = served.await.unwrap();
        assert!(read.contains(expected), "{read}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let (address, served) = server(async move |mut connection| {
        for _ in 0..2 {
            answer(&mut connection, "HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let transport = transport();
    for _ in 0..2 {
        body_of(transport.send(get(address)).await.unwrap()).await.unwrap();
    }
    served.await.unwrap();
}

#[tokio::test]
async fn nobody_there_is_told_as_never_reached() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = transport().send(get(address)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached()), (TransportErrorKind::Connect, false));
    assert_eq!(error.to_string(), "connection refused");
    assert!(!format!("{error:?}").contains("secret"));
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_is_a_reset() {
    let (address, _served) = server(async move |mut connection| {
        read_head(&mut connection).await;
    })
    .await;
    let error = transport().send(get(address)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached()), (TransportErrorKind::Reset, true));
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    let (address, _served) =
        server(async move |mut connection| answer(&mut connection, "220 ready to take your mail\r\n\r\n").await).await;
    assert_eq!(transport().send(get(address)).await.unwrap_err().kind(), TransportErrorKind::Protocol);
}

#[tokio::test]
async fn silence_before_an_answer_is_bounded() {
    let (address, served) = server(async move |mut connection| {
        read_head(&mut connection).await;
        // Until the client goes.
        connection.read(&mut [0]).await
    })
    .await;
    let error = impatient().send(get(address)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached()), (TransportErrorKind::Timeout, true));
    served.await.unwrap().ok();
}

#[tokio::test]
async fn silence_within_an_answer_is_bounded() {
    let text = "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhello";
    let (address, served) = server(async move |mut connection| {
        answer(&mut connection, text).await;
        connection.read(&mut [0]).await
    })
    .await;
    let error = body_of(impatient().send(get(address)).await.unwrap()).await.unwrap_err();
    assert_eq!(TransportError::of_io(error).kind(), TransportErrorKind::Timeout);
    served.await.unwrap().ok();
}

#[tokio::test]
async fn a_body_that_has_nothing_to_give_is_not_the_servers_silence() {
    let (send, receive) = tokio::sync::oneshot::channel::<Bytes>();
    let body = stream::once(async move { receive.await.map_err(io::Error::other) }).boxed();
    let (address, served) = server(async move |mut connection| {
        let mut read = read_head(&mut connection).await;
        while !read.ends_with("late") {
            read.push(char::from(connection.read_u8().await.unwrap()));
        }
        connection.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let transport = impatient();
    let sending = transport.send(request(Method::PATCH, address, Body::Stream { length: Some(4), stream: body }));
    let giving = async {
        // Several times the patience with the server.
        tokio::time::sleep(Duration::from_millis(100)).await;
        send.send(Bytes::from("late")).unwrap();
    };
    let (sent, ()) = tokio::join!(sending, giving);
    assert_eq!(sent.unwrap().status, 200);
    served.await.unwrap();
}

#[tokio::test]
async fn bytes_that_are_taken_slowly_are_no_silence() {
    // Many times what lies between the two ends; slow for more than twice the patience.
    const PIECES: usize = 48;
    const SLOW_PIECES: usize = 36;
    let mut buffer = vec![0; 1 << 20];
    let body = Bytes::from(vec![b'x'; PIECES * buffer.len()]);
    let (address, served) = server(async move |mut connection| {
        let head = read_head(&mut connection).await;
        let early = head.len() - head.find("\r\n\r\n").unwrap() - 4;
        let _ = connection.read_exact(&mut buffer[early..]).await;
        for number in 1..PIECES {
            if number < SLOW_PIECES {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            if connection.read_exact(&mut buffer).await.is_err() {
                return;
            }
            assert!(buffer.iter().all(|byte| *byte == b'x'));
        }
        connection.write_all(b"HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let options = HttpTransportOptions { idle_timeout: Duration::from_millis(500), ..Default::default() };
    let sent = HttpTransport::new(options).send(request(Method::PATCH, address, Body::Bytes(body))).await;
    assert_eq!(sent.unwrap().status, 200);
    served.await.unwrap();
}

#[tokio::test]
async fn a_body_that_fails_breaks_the_request_off() {
    for length in [None, Some(10)] {
        let failing = stream::iter([Ok(Bytes::from("abc")), Err(io::Error::other("disk is gone"))]).boxed();
        let (address, served) = server(async move |mut connection| {
            let mut read = Vec::new();
            let _ = connection.read_to_end(&mut read).await;
            read
        })
        .await;
        let body = Body::Stream { length, stream: failing };
        let error = transport().send(request(Method::PATCH, address, body)).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Body, "{error:?}");
        assert!(error.to_string().contains("disk is gone"), "{error}");
        // No end that could be taken for the body's.
        assert!(!served.await.unwrap().ends_with(b"0\r\n\r\n"));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_told() {
    for text in [
        "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhello",
        "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let (address, served) = server(async move |mut connection| answer(&mut connection, text).await).await;
        let response = transport().send(get(address)).await.unwrap();
        served.await.unwrap();
        let error = body_of(response).await.unwrap_err();
        assert_eq!(TransportError::of_io(error).kind(), TransportErrorKind::Reset);
    }
}

/// A server of `https` whose certificate is signed by itself, for one connection, and that certificate.
async fn tls_server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let (address, _) = server(async move |connection| {
        let Ok(mut connection) = acceptor.accept(connection).await else { return };
        answer(&mut connection, "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    (address, made.cert.pem())
}

fn get_by_tls(address: SocketAddr) -> Request {
    Request { url: format!("https://{address}/").parse().unwrap(), ..get(address) }
}

#[tokio::test]
async fn a_certificate_is_trusted_by_a_ca_file_or_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    let (address, pem) = tls_server().await;
    std::fs::write(&ca_file, pem).unwrap();
    let options = HttpTransportOptions { ca_file: Some(ca_file.clone()), ..Default::default() };
    assert_eq!(HttpTransport::new(options.clone()).send(get_by_tls(address)).await.unwrap().status, 200);

    let (address, _) = tls_server().await;
    let error = HttpTransport::new(options).send(get_by_tls(address)).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached()), (TransportErrorKind::Protocol, false), "{error}");

    let (address, _) = tls_server().await;
    let options = HttpTransportOptions { accepts_any_certificate: true, ..Default::default() };
    assert_eq!(HttpTransport::new(options).send(get_by_tls(address)).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    let options = HttpTransportOptions { ca_file: Some(file.clone()), ..Default::default() };
    let address = "127.0.0.1:1".parse().unwrap();
    for text in [None, Some("nothing"), Some("")] {
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let error = HttpTransport::new(options.clone()).send(get_by_tls(address)).await.unwrap_err();
        assert!(!error.may_have_reached() && error.to_string().contains("ca.pem"), "{error}");
    }
}

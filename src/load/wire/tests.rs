use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, Method, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::client::transport::{Body, Request, Response, Transport as _, TransportError, TransportErrorKind};
use crate::load::measure::Recorder;
use crate::load::report::Connections;

/// Nothing here takes that long unless it is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// With what it counts.
fn wire() -> (Wire, Recorder) {
    wire_with(WireOptions::default())
}

fn wire_with(options: WireOptions) -> (Wire, Recorder) {
    let recorder = Recorder::new();
    (Wire::new(options, recorder.clone()), recorder)
}

fn connections(recorder: &Recorder) -> Connections {
    recorder.totals().connections
}

fn request(method: Method, address: &str, body: Body) -> Request {
    Request { method, url: format!("{address}/v2/a/b?c=d").parse().unwrap(), headers: HeaderMap::new(), body }
}

fn get(address: &str) -> Request {
    request(Method::GET, address, Body::Empty)
}

fn pieces(
    pieces: Vec<Result<Bytes, std::io::Error>>,
) -> futures_util::stream::BoxStream<'static, std::io::Result<Bytes>> {
    stream::iter(pieces).boxed()
}

async fn send(wire: &Wire, request: Request) -> Result<Response, TransportError> {
    tokio::time::timeout(PATIENCE, wire.send(request)).await.expect("the answer in time")
}

async fn read_body(response: Response) -> Result<Vec<u8>, TransportError> {
    let read = response.body.try_fold(Vec::new(), async |mut whole, piece| {
        whole.extend_from_slice(&piece);
        Ok(whole)
    });
    tokio::time::timeout(PATIENCE, read).await.expect("the body in time").map_err(TransportError::of_io)
}

/// Reads a request's head, and no byte of its body.
async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("the rest of a head"));
    }
    String::from_utf8(head).unwrap()
}

async fn answer(socket: &mut TcpStream, answer: &str) {
    socket.write_all(answer.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_connection_is_used_again_when_the_answer_was_read() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let first = read_head(&mut socket).await;
        answer(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").await;
        let second = read_head(&mut socket).await;
        answer(&mut socket, "HTTP/1.1 204 No Content\r\n\r\n").await;
        (first, second)
    });
    let ((wire, recorder), watch) = (wire(), Watch::new());
    let response = watch.over(send(&wire, get(&address))).await.unwrap();
    assert_eq!(read_body(response).await.unwrap(), b"hello");
    let response = watch.over(send(&wire, request(Method::PUT, &address, Body::Empty))).await.unwrap();
    assert_eq!(response.status, StatusCode::NO_CONTENT);
    let (first, second) = server.await.unwrap();
    assert!(first.starts_with("GET /v2/a/b?c=d HTTP/1.1\r\n"), "{first}");
    assert!(first.contains(&format!("host: {}\r\n", address.strip_prefix("http://").unwrap())), "{first}");
    assert!(!first.contains("content-length"), "{first}");
    assert!(second.contains("content-length: 0\r\n"), "{second}");

    let seen = watch.take();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].connect.is_some() && seen[1].connect.is_none(), "{seen:?}");
    assert_eq!((seen[0].status, seen[0].received_bytes), (Some(StatusCode::OK), 5));
    for exchange in &seen {
        let moments = [Some(exchange.began), exchange.last_sent, exchange.first_byte, exchange.ended];
        assert!(moments.is_sorted() && moments.iter().all(Option::is_some), "{exchange:?}");
    }
    let counted = connections(&recorder);
    assert_eq!((counted.opened, counted.failed, counted.broken, counted.peak), (1, 0, 0, 1));
}

#[tokio::test]
async fn a_connection_whose_answer_was_not_read_is_closed() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        answer(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel").await;
        socket.read_u8().await.unwrap_err().kind()
    });
    let (wire, recorder) = wire();
    let response = send(&wire, get(&address)).await.unwrap();
    drop(response);
    let closed = server.await.unwrap();
    assert!(matches!(closed, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{closed:?}");
    assert_eq!(recorder.open_connections(), 0);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
    let (listener, address) = listen().await;
    let (closed, was_closed) = oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        answer(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        // What was sent is read before the end is: the answer cannot be lost.
        socket.shutdown().await.unwrap();
        closed.send(()).unwrap();
        let (mut next, _) = listener.accept().await.unwrap();
        read_head(&mut next).await;
        answer(&mut next, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n").await;
    });
    let (wire, recorder) = wire();
    send(&wire, get(&address)).await.unwrap();
    was_closed.await.unwrap();
    let again = send(&wire, get(&address)).await.unwrap();
    assert_eq!(again.status, StatusCode::CREATED);
    server.await.unwrap();
    let counted = connections(&recorder);
    assert_eq!((counted.opened, counted.broken, counted.peak), (2, 0, 1));
}

/// A body of `sent` bytes, of which more would come if it were not cut there.
fn cut_body(sent: usize, kind: CutKind) -> Body {
    let stream = pieces(vec![Ok(Bytes::from(vec![7; sent])), Err(Cut(kind).into_io())]);
    Body::Stream { length: Some(sent as u64 + 10), stream }
}

fn is_cut(error: &TransportError) -> bool {
    error.kind() == TransportErrorKind::Body && error.to_string().contains("on purpose")
}

#[tokio::test]
async fn a_body_is_cut_by_reset() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        let mut received = vec![0; 1000];
        socket.read_exact(&mut received).await.unwrap();
        socket.read_u8().await.unwrap_err().kind()
    });
    let ((wire, recorder), watch) = (wire(), Watch::new());
    let request = request(Method::PATCH, &address, cut_body(1000, CutKind::Reset));
    let error = watch.over(send(&wire, request)).await.unwrap_err();
    assert!(is_cut(&error), "{error}");
    assert_eq!(server.await.unwrap(), ErrorKind::ConnectionReset);
    let seen = watch.take();
    assert_eq!((seen[0].sent_bytes, seen[0].status), (1000, None));
    let counted = connections(&recorder);
    assert_eq!((counted.broken, recorder.open_connections()), (0, 0));
}

#[tokio::test]
async fn a_body_is_cut_by_half_a_close_and_the_answer_is_read() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        for says_something in [true, false] {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_head(&mut socket).await;
            let mut received = Vec::new();
            socket.read_to_end(&mut received).await.unwrap();
            assert_eq!(received.len(), 1000);
            if says_something {
                answer(&mut socket, "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    });
    let (wire, recorder) = wire();
    let answered = send(&wire, request(Method::PATCH, &address, cut_body(1000, CutKind::HalfClose))).await.unwrap();
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    let hung_up = send(&wire, request(Method::PATCH, &address, cut_body(1000, CutKind::HalfClose))).await.unwrap_err();
    assert!(is_cut(&hung_up), "{hung_up}");
    server.await.unwrap();
    assert_eq!((recorder.open_connections(), connections(&recorder).broken), (0, 0));
}

#[tokio::test]
async fn a_body_is_cut_by_silence_and_the_connection_stays() {
    let (listener, address) = listen().await;
    let (received, was_received) = oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.read_exact(&mut [0; 1000]).await.unwrap();
        received.send(()).unwrap();
        socket.read_u8().await.unwrap_err().kind()
    });
    let ((wire, recorder), watch) = (wire(), Watch::new());
    let request = request(Method::PATCH, &address, cut_body(1000, CutKind::Silence));
    let error = watch.over(send(&wire, request)).await.unwrap_err();
    assert!(is_cut(&error), "{error}");
    was_received.await.unwrap();
    assert_eq!((watch.silent_connections(), recorder.open_connections()), (1, 1));
    assert!(!server.is_finished());
    watch.end_silence();
    assert_eq!(server.await.unwrap(), ErrorKind::UnexpectedEof);
    assert_eq!(recorder.open_connections(), 0);
}

#[tokio::test]
async fn an_answer_that_comes_before_the_body_is_read_although_the_server_closes() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        answer(&mut socket, "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        // Closed with bytes unread, which resets the connection.
    });
    let (wire, recorder) = wire();
    let piece = Bytes::from(vec![7; 1 << 20]);
    let endless = stream::repeat_with(move || Ok(piece.clone())).boxed();
    let request = request(Method::PATCH, &address, Body::Stream { length: None, stream: endless });
    let response = send(&wire, request).await.unwrap();
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    drop(response);
    server.await.unwrap();
    assert_eq!(recorder.open_connections(), 0, "an unfinished body leaves a connection in doubt");
}

#[tokio::test]
async fn a_body_without_a_length_goes_in_chunks() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = read_head(&mut socket).await;
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            body.push(socket.read_u8().await.unwrap());
        }
        answer(&mut socket, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
        (head, String::from_utf8(body).unwrap())
    });
    let stream = pieces(vec![Ok("abc".into()), Ok("de".into())]);
    let ((wire, _), watch) = (wire(), Watch::new());
    let request = request(Method::PATCH, &address, Body::Stream { length: None, stream });
    watch.over(send(&wire, request)).await.unwrap();
    let (head, body) = server.await.unwrap();
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"), "{head}");
    assert_eq!(body, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(watch.take()[0].sent_bytes, 5);
}

#[tokio::test]
async fn a_body_of_another_length_than_it_said_breaks_off() {
    for said in [2, 9] {
        let (listener, address) = listen().await;
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            socket.read_to_end(&mut received).await
        });
        let stream = pieces(vec![Ok("abc".into())]);
        let request = request(Method::PATCH, &address, Body::Stream { length: Some(said), stream });
        let error = send(&wire().0, request).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Body, "{error}");
        assert_eq!(server.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told() {
    let cases = [
        ("nonsense\r\n\r\n", TransportErrorKind::Protocol),
        ("", TransportErrorKind::Reset),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", TransportErrorKind::Reset),
    ];
    for (said, expected) in cases {
        let (listener, address) = listen().await;
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            read_head(&mut socket).await;
            answer(&mut socket, said).await;
        });
        let (wire, recorder) = wire();
        let error = match send(&wire, get(&address)).await {
            Ok(response) => read_body(response).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), expected, "{said:?}: {error}");
        assert!(error.may_have_reached());
        let counted = connections(&recorder);
        assert_eq!((counted.broken, recorder.open_connections()), (1, 0), "{said:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_is_given_up_and_a_body_that_waits_is_not() {
    let (listener, address) = listen().await;
    let silent = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest).await;
    });
    let options = WireOptions { silence_timeout: Duration::from_millis(50), ..WireOptions::default() };
    let (wire, _) = wire_with(options);
    let error = send(&wire, get(&address)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    silent.await.unwrap();

    let (listener, address) = listen().await;
    let (go_on, goes_on) = oneshot::channel();
    let patient = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.read_exact(&mut [0; 3]).await.unwrap();
        // Longer than the client waits for a server.
        tokio::time::sleep(Duration::from_millis(200)).await;
        go_on.send(()).unwrap();
        socket.read_exact(&mut [0; 3]).await.unwrap();
        answer(&mut socket, "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
    });
    let later = stream::once(async move {
        goes_on.await.unwrap();
        Ok(Bytes::from("def"))
    });
    let stream = stream::iter([Ok(Bytes::from("abc"))]).chain(later).boxed();
    let request = request(Method::PATCH, &address, Body::Stream { length: Some(6), stream });
    assert_eq!(send(&wire, request).await.unwrap().status, StatusCode::ACCEPTED);
    patient.await.unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let (listener, address) = listen().await;
    drop(listener);
    let ((wire, recorder), watch) = (wire(), Watch::new());
    let error = watch.over(send(&wire, get(&address))).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_reached()), (TransportErrorKind::Connect, false));
    assert!(watch.take()[0].ended.is_some());
    let counted = connections(&recorder);
    assert_eq!((counted.opened, counted.failed, counted.broken), (0, 1, 0));
}

#[tokio::test]
async fn no_more_connections_are_open_than_may_be() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                loop {
                    read_head(&mut socket).await;
                    answer(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                }
            });
        }
    });
    let options = WireOptions { max_connections: Some(2), ..WireOptions::default() };
    let (wire, recorder) = wire_with(options);
    let all = futures_util::future::join_all((0..20).map(|_| send(&wire, get(&address)))).await;
    assert!(all.iter().all(Result::is_ok));
    let counted = connections(&recorder);
    assert_eq!((counted.opened, counted.peak), (2, 2));
}

#[tokio::test]
async fn tls_is_spoken_to_a_server_whose_certificate_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.cert.pem()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let (listener, address) = listen().await;
    let address = address.replace("http://127.0.0.1", "https://localhost");
    let server = tokio::spawn(async move {
        let (untrusting, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(untrusting).await.is_err());
        let (socket, _) = listener.accept().await.unwrap();
        // The reset may overtake what was sent before it, the end of the handshake too.
        match acceptor.accept(socket).await {
            Ok(mut socket) => socket.read_to_end(&mut Vec::new()).await.unwrap_err().kind(),
            Err(error) => error.kind(),
        }
    });
    let error = send(&wire().0, get(&address)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Connect, "{error}");
    let (wire, _) = wire_with(WireOptions { ca_file: Some(ca_file), ..WireOptions::default() });
    let cut = send(&wire, request(Method::PATCH, &address, cut_body(1000, CutKind::Reset))).await.unwrap_err();
    assert!(is_cut(&cut), "{cut}");
    assert_eq!(server.await.unwrap(), ErrorKind::ConnectionReset);
}

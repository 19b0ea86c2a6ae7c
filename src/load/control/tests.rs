//! The control as a client sees it, byte for byte.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::Control;
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Running {
    address: SocketAddr,
    folder: tempfile::TempDir,
}

fn start() -> Running {
    let folder = tempfile::tempdir().unwrap();
    let control = Control::bind("127.0.0.1:0".parse().unwrap(), folder.path().to_owned()).unwrap();
    let address = control.address().unwrap();
    // It ends with the tests' process.
    thread::spawn(move || control.serve());
    Running { address, folder }
}

/// A connection to it.
struct Wire(TcpStream);

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Running {
    fn connect(&self) -> Wire {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire(socket)
    }

    fn files(&self) -> usize {
        self.folder.path().read_dir().unwrap().count()
    }
}

impl Wire {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    fn answer(&mut self) -> Answer {
        self.answer_to("GET")
    }

    fn answer_to(&mut self, method: &str) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if let Some(length) = answer.header("Content-Length").filter(|_| method != "HEAD") {
            answer.body.resize(length.parse().unwrap(), 0);
            self.0.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()));
        self.send(body);
        self.answer_to(method)
    }

    fn begin(&mut self) -> String {
        let answer = self.ask("POST", "/v2/a/b/blobs/uploads/", b"");
        assert_eq!(answer.status, 202);
        answer.header("Location").unwrap().to_owned()
    }

    fn blob(&mut self, digest: &Digest) -> Answer {
        self.ask("GET", &format!("/v2/any/name/blobs/{digest}"), b"")
    }

    fn assert_closed(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn digest_of(content: &[u8]) -> Digest {
    let mut digest = RunningDigest::new(Algorithm::Sha256);
    digest.update(content);
    digest.finish()
}

fn chunked(content: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut coded = Vec::new();
    for chunk in content.chunks(chunk_bytes) {
        write!(coded, "{:x};x=y\r\n", chunk.len()).unwrap();
        coded.extend_from_slice(chunk);
        coded.extend_from_slice(b"\r\n");
    }
    coded.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    coded
}

#[test]
fn a_blob_comes_back_however_it_was_pushed() {
    let control = start();
    let mut wire = control.connect();
    for length in [0, 1, 4096, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 3_000_000] {
        let content = content(length);
        let digest = digest_of(&content);
        let end = format!("digest={digest}").replace(':', "%3A");

        let single = wire.ask("POST", &format!("/v2/a/blobs/uploads/?{end}"), &content);
        assert_eq!((single.status, single.header("Docker-Content-Digest").unwrap()), (201, &*digest.to_string()));

        let location = wire.begin();
        assert_eq!(wire.ask("PUT", &format!("{location}?{end}"), &content).status, 201, "{length}");

        let location = wire.begin();
        for chunk in content.chunks(1 << 20) {
            assert_eq!(wire.ask("PATCH", &location, chunk).status, 202);
        }
        let status = wire.ask("GET", &location, b"");
        let range = format!("0-{}", length.saturating_sub(1));
        assert_eq!((status.status, status.header("Range").unwrap()), (204, &*range));
        assert_eq!(wire.ask("PUT", &format!("{location}?{end}"), b"").status, 201, "{length}");

        let blob = wire.blob(&digest);
        assert_eq!((blob.status, blob.body == content), (200, true), "{length}");
        let head = wire.ask("HEAD", &format!("/v2/a/blobs/{digest}"), b"");
        assert_eq!((head.status, head.header("Content-Length").unwrap()), (200, &*length.to_string()));
    }
    assert_eq!(control.files(), 7, "a blob has one file, however often it was pushed");
}

#[test]
fn chunked_bodies_are_understood_wherever_they_are_split() {
    let control = start();
    let mut wire = control.connect();
    for (length, chunk_bytes, piece_bytes) in
        [(500, 7, 1), (500, 500, 3), (900_000, 32 << 10, 4099), (2_000_000, 700_000, 65_537), (900_000, 11, 50_000)]
    {
        let content = content(length);
        let digest = digest_of(&content);
        let location = wire.begin();
        wire.send(format!("PATCH {location} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
        // Behind it the next request begins, within the same piece.
        let mut sent = chunked(&content, chunk_bytes);
        write!(sent, "PUT {location}?digest={digest} HTTP/1.1\r\nContent-Length: 0\r\n\r\n").unwrap();
        for piece in sent.chunks(piece_bytes) {
            wire.send(piece);
        }
        let patched = wire.answer();
        assert_eq!((patched.status, patched.header("Range").unwrap()), (202, &*format!("0-{}", length - 1)));
        assert_eq!(wire.answer().status, 201, "{length} in chunks of {chunk_bytes} in pieces of {piece_bytes}");
        assert!(wire.blob(&digest).body == content);
    }
}

#[test]
fn many_at_once_do_not_mix() {
    let control = start();
    thread::scope(|scope| {
        for client in 0..8 {
            let control = &control;
            scope.spawn(move || {
                let mut wire = control.connect();
                let content = content(700_000 + client * 100_000);
                let digest = digest_of(&content);
                for _ in 0..5 {
                    let location = wire.begin();
                    wire.send(format!("PATCH {location} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"));
                    wire.send(chunked(&content, 100_000));
                    assert_eq!(wire.answer().status, 202);
                    assert_eq!(wire.ask("PUT", &format!("{location}?digest={digest}"), b"").status, 201);
                }
                assert!(wire.blob(&digest).body == content);
            });
        }
    });
}

#[test]
fn a_wrong_digest_is_refused_and_the_right_one_still_holds() {
    let control = start();
    let mut wire = control.connect();
    let content = content(5000);
    let location = wire.begin();
    for wrong in [digest_of(b"other").to_string(), "sha256:12".to_owned(), format!("sha512:{}", "0".repeat(128))] {
        let refused = wire.ask("PUT", &format!("{location}?digest={wrong}"), b"");
        assert_eq!(refused.status, 400, "{wrong}");
        assert!(String::from_utf8(refused.body).unwrap().contains("DIGEST_INVALID"));
    }
    assert_eq!(wire.ask("PUT", &location, b"").status, 400);
    assert_eq!(wire.ask("PATCH", &location, &content).status, 202);
    assert_eq!(wire.blob(&digest_of(b"")).status, 404);
    assert_eq!(wire.ask("PUT", &format!("{location}?digest={}", digest_of(&content)), b"").status, 201);
    assert_eq!(wire.ask("PUT", &format!("{location}?digest={}", digest_of(&content)), b"").status, 404);
}

#[test]
fn a_cut_upload_goes_on_where_it_was() {
    let control = start();
    let mut wire = control.connect();
    let content = content(1_000_000);
    let location = wire.begin();
    let mut cut = control.connect();
    cut.send(format!("PATCH {location} HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"));
    cut.send(&content[..600_000]);
    cut.0.shutdown(Shutdown::Write).unwrap();
    // It closes once it has seen the end.
    cut.assert_closed();
    assert_eq!(wire.ask("GET", &location, b"").header("Range").unwrap(), "0-599999");
    wire.send(format!("PATCH {location} HTTP/1.1\r\nContent-Length: 400000\r\nContent-Range: 5-9\r\n\r\n"));
    let refused = wire.answer();
    assert_eq!((refused.status, refused.header("Connection")), (416, Some("close")));
    let mut wire = control.connect();
    wire.send(format!("PATCH {location} HTTP/1.1\r\nContent-Length: 400000\r\nContent-Range: 600000-999999\r\n\r\n"));
    wire.send(&content[600_000..]);
    assert_eq!(wire.answer().status, 202);
    assert_eq!(wire.ask("PUT", &format!("{location}?digest={}", digest_of(&content)), b"").status, 201);
}

#[test]
fn an_upload_that_is_written_to_is_refused_to_others() {
    let control = start();
    let (mut first, mut second) = (control.connect(), control.connect());
    let location = first.begin();
    first.send(format!("PATCH {location} HTTP/1.1\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n"));
    assert_eq!(first.answer().status, 100);
    assert_eq!(second.ask("PATCH", &location, b"x").status, 409);
    assert_eq!(second.ask("GET", &location, b"").status, 409);
    first.send(b"0123456789");
    assert_eq!(first.answer().status, 202);
    assert_eq!(second.ask("GET", &location, b"").header("Range").unwrap(), "0-9");
}

#[test]
fn a_cancelled_upload_leaves_nothing() {
    let control = start();
    let mut wire = control.connect();
    let location = wire.begin();
    assert_eq!(wire.ask("PATCH", &location, b"bytes").status, 202);
    assert_eq!(control.files(), 1);
    assert_eq!(wire.ask("DELETE", &location, b"").status, 204);
    assert_eq!(control.files(), 0);
    assert_eq!(wire.ask("DELETE", &location, b"").status, 404);
    assert_eq!(wire.ask("PATCH", &location, b"bytes").status, 404);
}

#[test]
fn ranges_are_given() {
    let control = start();
    let mut wire = control.connect();
    let content = content(1000);
    let digest = digest_of(&content);
    assert_eq!(wire.ask("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &content).status, 201);
    for (range, first, behind) in [("0-0", 0, 1), ("10-19", 10, 20), ("990-", 990, 1000), ("5-9999", 5, 1000)] {
        wire.send(format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nRange: bytes={range}\r\n\r\n"));
        let answer = wire.answer();
        assert_eq!((answer.status, answer.body == content[first..behind]), (206, true), "{range}");
        let expected = format!("bytes {first}-{}/1000", behind - 1);
        assert_eq!(answer.header("Content-Range").unwrap(), expected);
    }
    wire.send(format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nRange: bytes=1000-\r\n\r\n"));
    assert_eq!(wire.answer().status, 416);
}

#[test]
fn there_is_nothing_else() {
    let control = start();
    let mut wire = control.connect();
    for (method, path, status) in [
        ("GET", "/v2/", 200),
        ("GET", "/v2/a/manifests/latest", 404),
        ("HEAD", "/v2/a/manifests/latest", 404),
        ("PUT", "/v2/a/manifests/latest", 404),
        ("GET", "/v2/_catalog", 404),
        ("GET", "/v2/a/blobs/nonsense", 404),
        ("DELETE", "/v2/a/blobs/sha256:1234", 405),
        ("PUT", "/v2/a/blobs/uploads/", 405),
        ("PATCH", "/v2/a/blobs/uploads/12345", 404),
        ("PUT", "/v2/a/blobs/uploads/12345?digest=sha256:12", 404),
        ("POST", "/v2/a/blobs/uploads/?mount=sha256:12&from=b", 202),
        ("BREW", "/v2/", 405),
    ] {
        assert_eq!(wire.ask(method, path, b"body").status, status, "{method} {path}");
    }
    // A body that is too long to be skipped ends the connection.
    wire.send("PUT /v2/a/manifests/latest HTTP/1.1\r\nContent-Length: 99999\r\n\r\n");
    let refused = wire.answer();
    assert_eq!((refused.status, refused.header("Connection")), (404, Some("close")));
    wire.0.shutdown(Shutdown::Write).unwrap();
    wire.assert_closed();
}

#[test]
fn pipelined_junk_ends_the_connection_and_harms_nobody() {
    let control = start();
    let mut wire = control.connect();
    let location = wire.begin();
    wire.send(format!("PATCH {location} HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc\0\0junk\u{fffd}\r\n\r\n"));
    assert_eq!(wire.answer().status, 202);
    let refused = wire.answer();
    assert_eq!((refused.status, refused.header("Connection")), (400, Some("close")));
    wire.0.shutdown(Shutdown::Write).unwrap();
    wire.assert_closed();
    let mut wire = control.connect();
    assert_eq!(wire.ask("GET", &location, b"").header("Range").unwrap(), "0-2");
    // Junk where a chunk should be.
    wire.send(format!("PATCH {location} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\nzz\r\n"));
    assert_eq!(wire.answer().status, 400);
}

#[test]
fn a_huge_head_is_refused() {
    let control = start();
    for line_end in ["", "\r\n"] {
        let mut wire = control.connect();
        wire.send(format!("GET /v2/ HTTP/1.1\r\nX-Long: {}{line_end}", "x".repeat(20_000)));
        let refused = wire.answer();
        assert_eq!((refused.status, refused.header("Connection")), (431, Some("close")));
        wire.0.shutdown(Shutdown::Write).unwrap();
        wire.assert_closed();
    }
    let mut wire = control.connect();
    wire.send(format!("GET /v2/ HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(10_000)));
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn a_file_that_cannot_be_written_costs_the_upload_alone() {
    let control = start();
    let mut wire = control.connect();
    let location = wire.begin();
    let id = location.rsplit('/').next().unwrap();
    std::fs::write(control.folder.path().join(id), "in its place").unwrap();
    assert_eq!(wire.ask("PATCH", &location, b"bytes").status, 500);
    let mut wire = control.connect();
    assert_eq!(wire.ask("PATCH", &location, b"bytes").status, 404);
    let location = wire.begin();
    assert_eq!(wire.ask("PATCH", &location, b"bytes").status, 202);
}

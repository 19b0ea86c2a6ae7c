use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::Method;

use super::*;
use crate::client::testing::{Reply, ScriptedTransport, Seen, builder, digest_of, fail, reply};
use crate::client::transport::{ByteStream, TransportErrorKind};
use crate::client::{Client, PushProgress, RetryPolicy};

const DATA: &[u8] = b"0123456789abcdefghij";
const ALL_MODES: [PushMode; 4] =
    [PushMode::Monolithic, PushMode::SinglePost, PushMode::Streamed, PushMode::Chunked { bytes: Some(7) }];

/// What the server does with the next request that has a body, beside what it should.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// Keeps so many bytes of it, and the connection breaks.
    Cut(usize),
    /// Keeps it, and its answer is lost.
    LosesAnswer,
    /// Keeps nothing, and answers so.
    Refuses(u16),
    /// Keeps nothing, and says that it does.
    Forgets,
    /// Forgets the whole upload, and says so.
    LosesUpload,
}

/// A registry of one repository, as far as a push can see it.
#[derive(Default)]
struct Server {
    uploads: u32,
    held: Option<BytesMut>,
    blob: Option<Bytes>,
    mishaps: VecDeque<Mishap>,
    /// The mishap comes with each body.
    is_hopeless: bool,
    tells_ranges_without_offsets: bool,
}

struct Fixture {
    transport: Arc<ScriptedTransport>,
    server: Arc<Mutex<Server>>,
    client: Client,
}

fn fixture(server: Server) -> Fixture {
    let cuts: Vec<Option<usize>> = server
        .mishaps
        .iter()
        .map(|mishap| match mishap {
            Mishap::Cut(bytes) => Some(*bytes),
            _ => None,
        })
        .collect();
    let server = Arc::new(Mutex::new(server));
    let answering = server.clone();
    let transport = ScriptedTransport::answering(move |seen| answering.lock().unwrap().answer(seen));
    cuts.into_iter().for_each(|bytes| transport.cut_body_after(bytes));
    let client = builder("registry.example", &transport).0.build().unwrap();
    Fixture { transport, server, client }
}

fn with(mishaps: impl IntoIterator<Item = Mishap>) -> Fixture {
    fixture(Server { mishaps: mishaps.into_iter().collect(), ..Server::default() })
}

impl Server {
    fn answer(&mut self, seen: &Seen) -> Reply {
        let digest = seen.url.split_once("digest=").map(|(_, digest)| digest.replace("%3A", ":"));
        let is_whole_post = seen.method == Method::POST && digest.is_some();
        if seen.method == Method::POST && !is_whole_post {
            self.uploads += 1;
            self.held = Some(BytesMut::new());
            return self.progress(202);
        }
        if seen.method == Method::HEAD {
            return match &self.blob {
                Some(blob) => reply(200).header("content-length", &blob.len().to_string()),
                None => reply(404),
            };
        }
        if is_whole_post {
            self.held = Some(BytesMut::new());
        } else if !seen.url.contains(&format!("uploads/{}", self.uploads)) || self.held.is_none() {
            return reply(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#);
        }
        if seen.method == Method::GET {
            return self.progress(204);
        }
        if seen.method == Method::DELETE {
            self.held = None;
            return reply(204);
        }
        let mishap = self.mishap(seen);
        match mishap {
            Some(Mishap::Refuses(status)) => return reply(status).header("www-authenticate", "Basic realm=\"x\""),
            Some(Mishap::Forgets) => return self.progress(202),
            Some(Mishap::LosesUpload) => {
                self.held = None;
                return reply(404);
            }
            _ => {}
        }
        let held = self.held.as_mut().unwrap();
        if let Some(range) = seen.header("content-range")
            && !range.starts_with(&format!("{}-", held.len()))
        {
            return self.progress(416);
        }
        held.extend_from_slice(&seen.body);
        if let Some(Mishap::Cut(_)) = mishap {
            if is_whole_post {
                self.held = None;
            }
            return fail(TransportErrorKind::Reset);
        }
        if let Some(digest) = digest {
            return self.finish(&digest, mishap.is_some());
        }
        match mishap {
            Some(Mishap::LosesAnswer) => fail(TransportErrorKind::Reset),
            _ => self.progress(202),
        }
    }

    fn mishap(&mut self, seen: &Seen) -> Option<Mishap> {
        if seen.body.is_empty() && seen.is_whole {
            return None;
        }
        match self.is_hopeless {
            true => self.mishaps.front().copied(),
            false => self.mishaps.pop_front(),
        }
    }

    fn finish(&mut self, digest: &str, loses_answer: bool) -> Reply {
        let data = self.held.as_ref().unwrap().clone().freeze();
        if digest_of(&data).to_string() != digest {
            return reply(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
        }
        (self.held, self.blob) = (None, Some(data));
        match loses_answer {
            true => fail(TransportErrorKind::Reset),
            false => reply(201),
        }
    }

    fn progress(&self, status: u16) -> Reply {
        let held = self.held.as_ref().map_or(0, BytesMut::len);
        let location = match self.tells_ranges_without_offsets {
            true => format!("/v2/a/blobs/uploads/{}", self.uploads),
            false => format!("/v2/a/blobs/uploads/{}?offset={held}", self.uploads),
        };
        let range = format!("0-{}", held.saturating_sub(1));
        reply(status).header("location", &location).header("range", &range)
    }
}

impl Fixture {
    async fn push(&self, options: &PushOptions) -> Result<PushedBlob, ClientError> {
        let repository = self.client.repository(&"a".parse().unwrap());
        repository.push_blob(&Pieces(Bytes::from_static(DATA)), &digest_of(DATA), options).await
    }

    async fn push_by(&self, mode: PushMode) -> Result<PushedBlob, ClientError> {
        self.push(&PushOptions { mode, ..PushOptions::default() }).await
    }

    fn has_blob(&self) -> bool {
        self.server.lock().unwrap().blob.as_deref() == Some(DATA)
    }

    fn methods(&self) -> Vec<String> {
        self.transport.seen().iter().map(|seen| seen.method.to_string()).collect()
    }
}

/// Comes byte by byte.
struct Pieces(Bytes);

impl BlobSource for Pieces {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn open(&self, offset: u64) -> ByteStream {
        let rest = self.0.slice(offset as usize..).to_vec();
        futures_util::stream::iter(rest.into_iter().map(|byte| Ok(Bytes::from(vec![byte])))).boxed()
    }
}

#[tokio::test]
async fn each_mode_has_its_requests() {
    for (mode, methods) in [
        (PushMode::Monolithic, vec!["POST", "PUT"]),
        // It asks first who it has to be: its body can be sent once.
        (PushMode::SinglePost, vec!["GET", "POST"]),
        (PushMode::Streamed, vec!["POST", "PATCH", "PUT"]),
        (PushMode::Chunked { bytes: Some(7) }, vec!["POST", "PATCH", "PATCH", "PATCH", "PUT"]),
        (PushMode::Chunked { bytes: None }, vec!["POST", "PATCH", "PUT"]),
    ] {
        let fixture = with([]);
        let pushed = fixture.push_by(mode).await.unwrap();
        assert_eq!(pushed, PushedBlob { size_bytes: 20, resumes: 0, sent_bytes: 20 });
        assert!(fixture.has_blob());
        assert_eq!(fixture.methods(), methods, "{mode:?}");
    }
}

#[tokio::test]
async fn an_empty_blob_is_pushed_by_each_mode() {
    for mode in ALL_MODES {
        let fixture = with([]);
        let repository = fixture.client.repository(&"a".parse().unwrap());
        let options = PushOptions { mode, ..PushOptions::default() };
        repository.push_blob(&Bytes::new(), &digest_of(b""), &options).await.unwrap();
        assert_eq!(fixture.server.lock().unwrap().blob, Some(Bytes::new()), "{mode:?}");
    }
}

#[tokio::test]
async fn every_mode_comes_through_every_mishap() {
    let mishaps = [
        Mishap::Cut(0),
        Mishap::Cut(1),
        Mishap::Cut(5),
        Mishap::LosesAnswer,
        Mishap::Refuses(429),
        Mishap::Refuses(503),
        Mishap::Refuses(408),
        Mishap::Refuses(401),
    ];
    for mode in ALL_MODES {
        for first in mishaps {
            for second in mishaps {
                let fixture = with([first, second]);
                let pushed = fixture.push_by(mode).await;
                assert!(pushed.is_ok() && fixture.has_blob(), "{mode:?} {first:?} {second:?}: {pushed:?}");
            }
        }
    }
}

#[tokio::test]
async fn uploads_that_are_lost_or_stand_elsewhere_are_seen_to() {
    for mode in [PushMode::Streamed, PushMode::Monolithic, PushMode::Chunked { bytes: Some(7) }] {
        for mishap in [Mishap::LosesUpload, Mishap::Forgets, Mishap::Refuses(409), Mishap::Refuses(416)] {
            if matches!((mode, mishap), (PushMode::Monolithic, Mishap::Forgets)) {
                continue;
            }
            let fixture = with([mishap]);
            let pushed = fixture.push_by(mode).await;
            assert!(pushed.is_ok() && fixture.has_blob(), "{mode:?} {mishap:?}: {pushed:?}");
        }
    }
}

#[tokio::test]
async fn only_the_rest_is_sent_after_a_cut() {
    let fixture = with([Mishap::Cut(5), Mishap::Cut(3)]);
    let pushed = fixture.push_by(PushMode::Streamed).await.unwrap();
    assert_eq!(pushed.resumes, 2);
    let bodies: Vec<Bytes> = fixture.transport.seen().iter().map(|seen| seen.body.clone()).collect();
    assert_eq!(bodies.concat(), DATA);
    assert_eq!(fixture.methods(), ["POST", "PATCH", "GET", "PATCH", "GET", "PATCH", "PUT"]);
}

#[tokio::test]
async fn one_byte_or_none_begins_anew_where_that_is_not_told_apart() {
    let mishaps = VecDeque::from([Mishap::Cut(1)]);
    let fixture = fixture(Server { mishaps, tells_ranges_without_offsets: true, ..Server::default() });
    fixture.push_by(PushMode::Streamed).await.unwrap();
    assert!(fixture.has_blob());
    assert_eq!(fixture.server.lock().unwrap().uploads, 2);
    assert!(fixture.methods().contains(&"DELETE".to_owned()));
}

#[tokio::test]
async fn a_registry_that_never_keeps_anything_is_given_up() {
    for mishap in [Mishap::Forgets, Mishap::LosesUpload, Mishap::Refuses(503), Mishap::LosesAnswer] {
        for mode in [PushMode::Streamed, PushMode::Chunked { bytes: Some(7) }] {
            let mishaps = VecDeque::from([mishap]);
            let fixture = fixture(Server { mishaps, is_hopeless: true, ..Server::default() });
            let pushed = fixture.push_by(mode).await;
            // Bytes that are kept are progress, whatever becomes of the answers.
            assert_eq!(pushed.is_ok(), matches!(mishap, Mishap::LosesAnswer), "{mishap:?} {mode:?}");
            assert!(fixture.transport.seen().len() < 40, "{mishap:?} {mode:?}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_for_good_ends_the_upload() {
    for status in [400, 403, 413, 507] {
        let fixture = with([Mishap::Refuses(status)]);
        let error = fixture.push_by(PushMode::Streamed).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_eq!(fixture.methods().last().map(String::as_str), Some("DELETE"));
    }
}

#[tokio::test]
async fn a_wrong_digest_is_told_and_ends_the_upload() {
    let fixture = with([]);
    let repository = fixture.client.repository(&"a".parse().unwrap());
    let pushed = repository.push_blob(&Bytes::from("x"), &digest_of(DATA), &PushOptions::default()).await;
    assert_eq!(pushed.unwrap_err().code(), Some(crate::oci::ErrorCode::DigestInvalid));
    assert_eq!(fixture.methods().last().map(String::as_str), Some("DELETE"));
}

#[tokio::test]
async fn a_source_that_fails_is_the_cause_and_leaves_the_upload() {
    struct Failing;

    impl BlobSource for Failing {
        fn size_bytes(&self) -> u64 {
            20
        }

        fn open(&self, _: u64) -> ByteStream {
            let failure = std::io::Error::other("disk is gone");
            futures_util::stream::iter([Ok(Bytes::from("01234")), Err(failure)]).boxed()
        }
    }

    for mode in ALL_MODES {
        let fixture = with([]);
        let repository = fixture.client.repository(&"a".parse().unwrap());
        let options = PushOptions { mode, ..PushOptions::default() };
        let error = repository.push_blob(&Failing, &digest_of(DATA), &options).await.unwrap_err();
        assert!(matches!(error.failure(), Failure::Source(cause) if cause.to_string() == "disk is gone"), "{error:?}");
        assert!(!fixture.methods().contains(&"DELETE".to_owned()));
    }
}

#[tokio::test]
async fn a_push_goes_on_with_the_upload_of_an_earlier_one() {
    let fixture = with([]);
    let repository = fixture.client.repository(&"a".parse().unwrap());
    let session = repository.start_upload(crate::oci::Algorithm::Sha256).await.unwrap();
    session.append_chunk(0, Bytes::from_static(&DATA[..8])).await.unwrap();
    let resume = Some(session.location());
    let pushed = fixture.push(&PushOptions { resume, ..PushOptions::default() }).await.unwrap();
    assert_eq!(pushed.sent_bytes, 12);
    assert!(fixture.has_blob());
    assert_eq!(fixture.methods(), ["POST", "PATCH", "GET", "PATCH", "PUT"]);
}

#[tokio::test]
async fn an_upload_that_cannot_be_gone_on_with_is_begun_anew() {
    for location in ["/v2/a/blobs/uploads/99", "not an address\u{7f}://", "ftp://x/y"] {
        let fixture = with([]);
        let resume = Some(location.to_owned());
        fixture.push(&PushOptions { resume, ..PushOptions::default() }).await.unwrap();
        assert!(fixture.has_blob(), "{location}");
    }
}

#[tokio::test]
async fn an_upload_that_holds_more_than_the_blob_is_of_something_else() {
    let fixture = with([]);
    let repository = fixture.client.repository(&"a".parse().unwrap());
    let session = repository.start_upload(crate::oci::Algorithm::Sha256).await.unwrap();
    session.append_chunk(0, Bytes::from(vec![0; 100])).await.unwrap();
    let resume = Some(session.location());
    fixture.push(&PushOptions { resume, ..PushOptions::default() }).await.unwrap();
    assert!(fixture.has_blob());
    assert_eq!(fixture.methods()[2..5], ["GET", "DELETE", "POST"]);
}

#[tokio::test]
async fn chunks_are_as_large_as_the_registry_wants() {
    let transport = ScriptedTransport::answering(|seen| match seen.method {
        Method::POST => reply(202).header("location", "/x").header("oci-chunk-min-length", "12"),
        Method::PATCH => {
            let (_, last) = seen.header("content-range").unwrap().split_once('-').unwrap();
            reply(202).header("location", "/x").header("range", &format!("0-{last}"))
        }
        _ => reply(201),
    });
    let client = builder("registry.example", &transport).0.build().unwrap();
    let options = PushOptions { mode: PushMode::Chunked { bytes: Some(7) }, ..PushOptions::default() };
    let data = Bytes::from_static(DATA);
    client.repository(&"a".parse().unwrap()).push_blob(&data, &digest_of(DATA), &options).await.unwrap();
    let ranges: Vec<String> =
        transport.seen().iter().filter_map(|seen| seen.header("content-range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["0-11", "12-19"]);
}

#[tokio::test]
async fn progress_is_told() {
    let fixture = with([Mishap::Cut(5)]);
    let told: Arc<Mutex<Vec<PushProgress>>> = Arc::default();
    let telling = told.clone();
    let progress: OnProgress = Arc::new(move |progress| telling.lock().unwrap().push(progress.clone()));
    fixture.push(&PushOptions { progress: Some(progress), ..PushOptions::default() }).await.unwrap();
    let told = told.lock().unwrap();
    assert!(told.iter().all(|progress| progress.acknowledged_bytes <= progress.sent_to));
    assert!(told.windows(2).all(|pair| pair[0].acknowledged_bytes <= pair[1].acknowledged_bytes));
    assert!(told.iter().any(|progress| progress.resumed_from == Some(5)));
    let last = told.last().unwrap();
    assert_eq!((last.acknowledged_bytes, last.sent_to, last.resumed_from), (20, 20, Some(5)));
    assert!(last.location.as_ref().unwrap().contains("/uploads/1"));
}

#[tokio::test]
async fn nothing_is_tried_again_where_that_is_not_wanted() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = asked.clone();
    let transport = ScriptedTransport::answering(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        reply(503)
    });
    let client = builder("registry.example", &transport).0.retries(RetryPolicy::none()).build().unwrap();
    let data = Bytes::from_static(DATA);
    let repository = client.repository(&"a".parse().unwrap());
    repository.push_blob(&data, &digest_of(DATA), &PushOptions::default()).await.unwrap_err();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}
